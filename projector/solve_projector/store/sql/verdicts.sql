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
        coalesce(old.solved, false) AS was_solved,
        new.judged_at, old.judged_at AS was_judged_at, old.source_partition AS was_partition, old.source_offset AS was_offset
),
-- what a later judgement replaces is remembered: its redelivery is no wrong clock
replaced AS (
    INSERT INTO superseded_verdicts
    SELECT user_id, problem_id, submission_id, was_judged_at, was_solved, was_partition, was_offset, false
    FROM changed
    WHERE was_judged_at < judged_at
    ON CONFLICT DO NOTHING
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
),
updated AS (
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
)
SELECT * FROM updated
UNION ALL
SELECT NULL, count(*)::integer, NULL, NULL, NULL FROM changed

-- name: keep_superseded
-- Remembers verdicts that do not stand; returns the losing ones among them: never seen before, later in the log than the
-- one that stands, and judged earlier. Between partitions the log has no order, so there is no later.
WITH kept AS (
    INSERT INTO superseded_verdicts
    SELECT DISTINCT ON (user_id, problem_id, submission_id, given.judged_at, given.solved)
        user_id, problem_id, submission_id, given.judged_at, given.solved, given.source_partition, given.source_offset,
        given.source_partition = standing.source_partition AND given.source_offset > standing.source_offset
    FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::integer[], $7::bigint[])
        AS given (user_id, problem_id, submission_id, solved, judged_at, source_partition, source_offset)
    -- LATERAL with a limit: as a join the planner can choose to walk the whole primary key
    CROSS JOIN LATERAL (
        SELECT judged_at, source_partition, source_offset
        FROM verdicts
        WHERE (user_id, problem_id, submission_id) = (given.user_id, given.problem_id, given.submission_id)
        LIMIT 1
    ) AS standing
    WHERE given.judged_at < standing.judged_at
    ORDER BY user_id, problem_id, submission_id, given.judged_at, given.solved, given.source_partition, given.source_offset
    ON CONFLICT DO NOTHING
    RETURNING source_partition, source_offset, losing
)
SELECT source_partition, source_offset FROM kept WHERE losing ORDER BY source_partition, source_offset
