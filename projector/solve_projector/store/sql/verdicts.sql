-- name: apply_verdicts
-- Upserts verdicts by the rule and moves their users' counts by what flipped (I1, I2).
-- The caller holds the users' row locks and gives each (user, problem, submission) once.
-- Reads in this statement see the rows as they were before it; RETURNING gives the new ones.
WITH changed AS (
    INSERT INTO verdicts AS standing ({solve_projector.store.verdict_rows.columns})
    SELECT *
    FROM {solve_projector.store.verdict_rows.arrays}
    {solve_projector.store.verdict_rows.replace}
    {solve_projector.store.verdict_rows.by_the_rule}
    RETURNING
        new.user_id, new.problem_id, new.submission_id, new.solved, new.submitted_at,
        coalesce(old.solved, false) AS was_solved
),
-- several submissions to one problem can change in one batch
problems AS (
    SELECT
        user_id, problem_id,
        min(submitted_at) FILTER (WHERE solved) AS changed_first,
        coalesce(array_agg(submission_id) FILTER (WHERE was_solved), '{}') AS submission_ids
    FROM changed
    GROUP BY user_id, problem_id
),
-- when each problem was first solved, before and after the change
effects AS (
    SELECT problems.user_id, before.first AS before_first, least(problems.changed_first, before.kept_first) AS after_first
    FROM problems
    CROSS JOIN LATERAL (
        SELECT
            min(v.submitted_at) AS first,
            min(v.submitted_at) FILTER (WHERE v.submission_id <> ALL (problems.submission_ids)) AS kept_first
        FROM verdicts AS v
        WHERE v.user_id = problems.user_id AND v.problem_id = problems.problem_id AND v.solved
    ) AS before
),
moved AS (
    SELECT
        user_id,
        sum((after_first IS NOT NULL)::integer - (before_first IS NOT NULL)::integer) AS problems,
        max(after_first) FILTER (WHERE before_first IS NULL) AS newly_solved_at,
        -- a maximum can be raised in place but not lowered: such users are recounted
        bool_or(before_first IS NOT NULL) AS needs_recount
    FROM effects
    WHERE after_first IS DISTINCT FROM before_first
    GROUP BY user_id
)
UPDATE users SET
    -- never below zero, even on a count that somebody changed by hand: the recount that follows fixes it
    problems_solved = greatest(users.problems_solved + moved.problems, 0),
    last_solved_at = CASE
        WHEN users.problems_solved + moved.problems <= 0 THEN NULL
        ELSE greatest(users.last_solved_at, moved.newly_solved_at)
    END,
    -- by the clock, so that a restored backup soon gives versions newer than any before
    version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
FROM moved
WHERE users.user_id = moved.user_id
RETURNING users.user_id, users.problems_solved, users.last_solved_at, users.version, moved.needs_recount
