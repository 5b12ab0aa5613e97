-- name: settle
-- A part of statements: makes `solves` what the verdicts of `pairs` say. Returns whose solves that changes.
firsts AS (
    SELECT pairs.user_id, pairs.problem_id, first.*
    FROM pairs
    LEFT JOIN LATERAL (
        SELECT submitted_at, submission_id, language, contest_id
        FROM verdicts
        WHERE verdicts.user_id = pairs.user_id AND verdicts.problem_id = pairs.problem_id AND solved
        ORDER BY submitted_at, submission_id
        LIMIT 1
    ) AS first ON true
),
deleted AS (
    DELETE FROM solves
    USING firsts
    WHERE solves.user_id = firsts.user_id AND solves.problem_id = firsts.problem_id AND firsts.submitted_at IS NULL
    RETURNING solves.user_id
),
written AS (
    INSERT INTO solves AS standing ({solve_projector.store.solve_rows.columns})
    SELECT * FROM firsts WHERE submitted_at IS NOT NULL ORDER BY user_id, problem_id
    {solve_projector.store.solve_rows.replace}
    WHERE (standing.solved_at, standing.submission_id, standing.language, standing.contest_id)
        IS DISTINCT FROM (excluded.solved_at, excluded.submission_id, excluded.language, excluded.contest_id)
    RETURNING new.user_id
)
SELECT user_id FROM deleted UNION SELECT user_id FROM written
