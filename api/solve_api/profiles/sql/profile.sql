-- name: profile
-- The profile of one user ($1): days in the time zone $2, the latest $3 solves. A problem counts on the day of its first
-- standing solve, and not while it is withdrawn.
WITH firsts AS MATERIALIZED (
    SELECT problem_id, solved_at, language  -- from the index alone
    FROM solves
    WHERE user_id = $1 AND {solve_projector.store.withdrawals.none_of}
),
days AS (
    SELECT (solved_at AT TIME ZONE $2)::date AS day, count(*)::integer AS solved
    FROM firsts
    GROUP BY 1
),
languages AS (
    SELECT language, count(*)::integer AS solved
    FROM firsts
    WHERE language <> ''
    GROUP BY 1
),
recent AS (
    SELECT solves.problem_id, solves.submission_id, solves.solved_at, solves.language, solves.contest_id
    FROM (SELECT problem_id FROM firsts ORDER BY solved_at DESC, problem_id LIMIT $3) AS latest
    JOIN solves ON solves.user_id = $1 AND solves.problem_id = latest.problem_id
)
SELECT
    users.user_id, users.username, users.registered_at, users.listed, users.removed, users.problems_solved, users.last_solved_at, users.version,
    coalesce((SELECT array_agg(day ORDER BY day) FROM days), '{}') AS days,
    coalesce((SELECT array_agg(solved ORDER BY day) FROM days), '{}') AS solved_of_days,
    coalesce((SELECT array_agg(language ORDER BY solved DESC, language) FROM languages), '{}') AS languages,
    coalesce((SELECT array_agg(solved ORDER BY solved DESC, language) FROM languages), '{}') AS solved_of_languages,
    coalesce((SELECT array_agg(recent ORDER BY solved_at DESC, problem_id) FROM recent), '{}') AS recent
FROM users
WHERE users.user_id = $1

-- name: solves_of
-- The solves of one user ($1), newest first, after the position ($2, $3) if it is given; $4 at most. One row without a
-- problem where there are none, and no row where there is no such user.
SELECT users.username, users.problems_solved, users.removed, found.*
FROM users
LEFT JOIN LATERAL (
    SELECT
        solves.problem_id, submission_id, solves.solved_at AS submitted_at, language, contest_id,
        NOT {solve_projector.store.withdrawals.none_of} AS withdrawn
    FROM (
        SELECT problem_id, solved_at  -- from the index alone
        FROM solves
        WHERE user_id = users.user_id
            AND ($2::timestamptz IS NULL OR solved_at < $2 OR (solved_at = $2 AND problem_id > $3))
        ORDER BY solved_at DESC, problem_id
        LIMIT $4
    ) AS latest
    JOIN solves ON solves.user_id = users.user_id AND solves.problem_id = latest.problem_id
) AS found ON true
WHERE users.user_id = $1
ORDER BY submitted_at DESC, problem_id
