-- name: profile
-- The profile of one user ($1): days in the time zone $2, the latest $3 solves. A problem counts on the day of its first
-- standing solve, and not while it is withdrawn. Of the version $4,
-- which the asker keeps, nothing that solves say.
WITH unkept AS MATERIALIZED (
    SELECT user_id FROM users WHERE user_id = $1 AND version IS DISTINCT FROM $4
),
counts AS MATERIALIZED (
    -- one walk of an index alone. The zone is set until the statement ends: to name it for each row takes twice as long
    SELECT solved_at::date AS day, language, count(*)::integer AS solved
    FROM solves
    WHERE user_id = (SELECT user_id FROM unkept) AND {solve_projector.store.withdrawals.none_of}
        AND (SELECT set_config('TimeZone', $2, true)) IS NOT NULL
    GROUP BY GROUPING SETS ((1), (2))
),
latest AS (
    SELECT problem_id, solved_at
    FROM solves
    WHERE user_id = (SELECT user_id FROM unkept) AND {solve_projector.store.withdrawals.none_of}
    OFFSET 0 -- by the user, not by the time through all users' solves
),
recent AS (
    SELECT problem_id, submission_id, solved_at, language, contest_id
    FROM solves
    WHERE user_id = (SELECT user_id FROM unkept)
        AND problem_id = ANY (ARRAY(SELECT problem_id FROM latest ORDER BY solved_at DESC, problem_id LIMIT $3))
),
days AS (
    SELECT array_agg(day ORDER BY day) AS days, array_agg(solved ORDER BY day) AS solved_of_days
    FROM counts
    WHERE day IS NOT NULL
),
languages AS (
    SELECT
        array_agg(language ORDER BY solved DESC, language) AS languages,
        array_agg(solved ORDER BY solved DESC, language) AS solved_of_languages
    FROM counts
    WHERE language <> ''
)
SELECT
    users.user_id, users.username, users.registered_at, users.listed, users.removed, users.problems_solved,
    users.last_solved_at, users.version,
    coalesce(days, '{}') AS days, coalesce(solved_of_days, '{}') AS solved_of_days,
    coalesce(languages, '{}') AS languages, coalesce(solved_of_languages, '{}') AS solved_of_languages,
    coalesce((SELECT array_agg(recent ORDER BY solved_at DESC, problem_id) FROM recent), '{}') AS recent
FROM users
CROSS JOIN days
CROSS JOIN languages
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
