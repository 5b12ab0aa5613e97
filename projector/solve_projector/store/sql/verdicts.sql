-- name: apply_verdicts
-- Upserts verdicts by the rule, adds first solves, and moves their users' counts by what was added (I1, I2).
-- The caller holds the users' row locks and gives each (user, problem, submission) once. Returns three kinds of rows: new
-- standings; with a problem, one that `settle_pairs` must look at, or with none a user to recount; and, without a user,
-- how many verdicts changed.
WITH changed AS (
    INSERT INTO verdicts AS standing ({solve_projector.store.verdict_rows.columns})
    SELECT *
    FROM {solve_projector.store.verdict_rows.arrays}
    {solve_projector.store.verdict_rows.replace}
    {solve_projector.store.verdict_rows.by_the_rule}
    RETURNING
        new.user_id, new.problem_id, new.submission_id, new.submitted_at, new.language, new.contest_id, new.judged_at,
        new.revision, old.revision AS was_revision,
        old.judged_at AS was_judged_at, old.solved AS was_solved,
        old.source_partition AS was_partition, old.source_offset AS was_offset,
        new.solved AND old.solved IS NOT TRUE AS adds,
        coalesce(
            old.solved AND (new.submitted_at, new.language, new.contest_id)
                IS DISTINCT FROM (old.submitted_at, old.language, old.contest_id),
            false
        ) AS takes
),
-- what a later judgement of the same revision replaces is remembered: its redelivery is no wrong clock
replaced AS (
    INSERT INTO superseded_verdicts
    SELECT user_id, problem_id, submission_id, was_judged_at, was_solved, was_partition, was_offset, false
    FROM changed
    WHERE was_revision = revision AND was_judged_at < judged_at
    ON CONFLICT DO NOTHING
),
taken AS (
    SELECT DISTINCT user_id, problem_id FROM changed WHERE takes
),
added AS (
    INSERT INTO solves AS standing ({solve_projector.store.solve_rows.columns})
    SELECT DISTINCT ON (user_id, problem_id) user_id, problem_id, submitted_at, submission_id, language, contest_id
    FROM changed
    WHERE adds AND NOT EXISTS (
        SELECT FROM taken WHERE (taken.user_id, taken.problem_id) = (changed.user_id, changed.problem_id)
    )
    ORDER BY user_id, problem_id, submitted_at, submission_id
    {solve_projector.store.solve_rows.replace}
    WHERE (excluded.solved_at, excluded.submission_id) < (standing.solved_at, standing.submission_id)
    RETURNING new.user_id, new.problem_id, new.solved_at, old.solved_at AS was_solved_at
),
updated AS (
    UPDATE users SET
        problems_solved = users.problems_solved + moved.problems,
        last_solved_at = greatest(users.last_solved_at, moved.newly_solved_at),
        -- by the clock, so that a restored backup soon gives versions newer than any before
        version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
    FROM (
        SELECT user_id, count(*)::integer AS problems, max(solved_at) AS newly_solved_at
        FROM added AS solves
        WHERE was_solved_at IS NULL AND {solve_projector.store.withdrawals.none_of}
        GROUP BY user_id
    ) AS moved
    WHERE users.user_id = moved.user_id
    RETURNING {solve_projector.store.standing.columns}
)
SELECT user_id, problems_solved, last_solved_at, version, NULL AS problem_id FROM updated
UNION ALL
-- a maximum can be raised in place but not lowered; and a version stands for the solves as well, each with its language
SELECT DISTINCT user_id, NULL::integer, NULL::timestamptz, NULL::bigint, NULL FROM added WHERE was_solved_at IS NOT NULL
UNION ALL
SELECT user_id, NULL, NULL, NULL, problem_id FROM taken
UNION ALL
SELECT NULL, count(*)::integer, NULL, NULL, NULL FROM changed

-- name: keep_superseded
-- Remembers verdicts that lost by the clock alone; returns the losing ones among them: never seen before, later in the
-- log than the one of the same revision that stands, and judged earlier. Between partitions the log has no order.
WITH kept AS (
    INSERT INTO superseded_verdicts
    SELECT DISTINCT ON (user_id, problem_id, submission_id, given.judged_at, given.solved)
        user_id, problem_id, submission_id, given.judged_at, given.solved, given.source_partition, given.source_offset,
        given.source_partition = standing.source_partition AND given.source_offset > standing.source_offset
    FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::integer[], $7::bigint[], $8::bigint[])
        AS given (user_id, problem_id, submission_id, solved, judged_at, source_partition, source_offset, revision)
    -- LATERAL with a limit: as a join the planner can choose to walk the whole primary key
    CROSS JOIN LATERAL (
        SELECT judged_at, source_partition, source_offset, revision
        FROM verdicts
        WHERE (user_id, problem_id, submission_id) = (given.user_id, given.problem_id, given.submission_id)
        LIMIT 1
    ) AS standing
    WHERE given.revision = standing.revision AND given.judged_at < standing.judged_at
    ORDER BY user_id, problem_id, submission_id, given.judged_at, given.solved, given.source_partition, given.source_offset
    ON CONFLICT DO NOTHING
    RETURNING source_partition, source_offset, losing
)
SELECT source_partition, source_offset FROM kept WHERE losing ORDER BY source_partition, source_offset
