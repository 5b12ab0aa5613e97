-- name: advance_fix
-- Folds verdicts of the log's tail into those of the users under repair, by the same rule.
INSERT INTO solve_replay_fix AS standing
SELECT tail.*
FROM {solve_projector.store.verdict_rows.arrays} AS tail ({solve_projector.store.verdict_rows.columns})
JOIN solve_replay_repairs USING (user_id)
{solve_projector.store.verdict_rows.replace}
{solve_projector.store.verdict_rows.by_the_rule}

-- name: advance_names
-- Folds registrations of the log's tail into the names of the users under repair.
INSERT INTO solve_replay_names AS standing (user_id, username, registered_at, unlisted)
SELECT tail.*
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[])
    AS tail (user_id, username, registered_at, unlisted)
JOIN solve_replay_repairs USING (user_id)
ON CONFLICT (user_id) DO UPDATE SET
    username = excluded.username, registered_at = excluded.registered_at, unlisted = excluded.unlisted
WHERE (excluded.registered_at, excluded.unlisted, excluded.username COLLATE "C")
    > (standing.registered_at, standing.unlisted, standing.username)

-- name: advance_removals
-- Folds removals of the log's tail into those of the users under repair.
INSERT INTO solve_replay_removed AS standing ({solve_projector.store.removal_rows.columns})
SELECT tail.*
FROM {solve_projector.store.removal_rows.arrays} AS tail ({solve_projector.store.removal_rows.columns})
JOIN solve_replay_repairs USING (user_id)
{solve_projector.store.removal_rows.by_the_rule}

-- name: advance_problems
-- Folds facts of the log's tail into those of the problems under repair.
INSERT INTO solve_replay_problems AS standing ({solve_projector.store.withdrawals.columns})
SELECT tail.*
FROM unnest($1::text[], $2::timestamptz[], $3::boolean[], $4::text[])
    AS tail ({solve_projector.store.withdrawals.columns})
JOIN solve_replay_problem_drift USING (problem_id)
{solve_projector.store.withdrawals.by_the_rule}

-- name: repair_problems
-- Makes facts about problems what the log says, and asks for the recounts that follow.
WITH said AS (
    SELECT solve_replay_problems.* FROM solve_replay_problems JOIN solve_replay_problem_drift USING (problem_id)
),
extra AS (
    DELETE FROM problem_facts
    USING solve_replay_problem_drift AS drift
    WHERE problem_facts.problem_id = drift.problem_id AND drift.problem_id NOT IN (SELECT problem_id FROM said)
    RETURNING problem_facts.problem_id, problem_facts.withdrawn AS is_flipped
),
written AS (
    INSERT INTO problem_facts AS standing ({solve_projector.store.withdrawals.columns})
    SELECT {solve_projector.store.withdrawals.columns} FROM said ORDER BY problem_id
    ON CONFLICT (problem_id) DO UPDATE SET
        (decided_at, withdrawn, reason) = (excluded.decided_at, excluded.withdrawn, excluded.reason)
    RETURNING new.problem_id, new.withdrawn <> coalesce(old.withdrawn, false) AS is_flipped
),
flipped AS (
    SELECT problem_id FROM extra WHERE is_flipped UNION ALL SELECT problem_id FROM written WHERE is_flipped
)
{solve_projector.store.withdrawals.ask_for_recounts}

-- name: delete_extra_parked
-- Removes parked events of users who exist by now (their verdicts were written), and those that the log does not have.
DELETE FROM parked_events
WHERE user_id = ANY ($1::text[])
    AND (
        EXISTS (SELECT FROM users WHERE users.user_id = parked_events.user_id)
        OR NOT EXISTS (
            SELECT
            FROM solve_replay_fix AS said
            WHERE (said.user_id, said.problem_id, said.submission_id)
                = (parked_events.user_id, parked_events.problem_id, parked_events.submission_id)
        )
    )

-- name: delete_wrong_verdicts
-- Removes verdicts that the log does not have, or has otherwise, and those of unknown users.
DELETE FROM verdicts
WHERE user_id = ANY ($1::text[])
    AND NOT EXISTS (
        SELECT
        FROM solve_replay_fix AS said
        JOIN users USING (user_id)
        WHERE said.user_id = ANY ($1::text[])
            AND (said.user_id, said.problem_id, said.submission_id)
                = (verdicts.user_id, verdicts.problem_id, verdicts.submission_id)
            AND said IS NOT DISTINCT FROM verdicts
    )

-- name: delete_extra_search_keys
DELETE FROM user_search_keys AS live
USING solve_replay_key_drift AS drift
WHERE drift.user_id = ANY ($1::text[])
    AND drift.kind = 'extra'
    AND (live.key, live.user_id) = (drift.key, drift.user_id)
    -- nor is it right since a rename
    AND NOT EXISTS (
        SELECT
        FROM users
        WHERE users.user_id = live.user_id AND live.key IN (user_search_key(username), user_search_key(users.user_id))
    )

-- name: add_missing_search_keys
INSERT INTO user_search_keys (key, user_id)
{solve_projector.replay.search_keys.of_users}
    AND user_id = ANY ($1::text[])
ON CONFLICT DO NOTHING

-- name: delete_dead_letters
-- Removes the dead letters whose record is counted by now; not those of users whom PostgreSQL still refuses ($4).
DELETE FROM dead_letters
USING unnest($2::integer[], $3::bigint[]) AS applied (partition, "offset")
WHERE dead_letters.topic = $1
    AND dead_letters.partition = applied.partition
    AND dead_letters."offset" = applied."offset"
    AND NOT EXISTS (
        SELECT
        FROM solve_replay_verdicts AS said
        WHERE said.source_partition = applied.partition
            AND said.source_offset = applied."offset"
            AND said.user_id = ANY ($4::text[])
    )

-- name: insert_dead_letters
-- Keeps the records that cannot be applied and were not kept.
INSERT INTO dead_letters ({solve_projector.store.dead_letter_rows.columns})
SELECT $1, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, reason, detail, user_ids
FROM solve_replay_rejected
ORDER BY partition, "offset"
ON CONFLICT (topic, partition, "offset") DO NOTHING

-- name: prepare_repairs
-- The users to repair and what the log says of them; kept up to date with the log's tail during the repair.
CREATE UNLOGGED TABLE solve_replay_repairs AS
SELECT user_id FROM solve_replay_user_drift
UNION
SELECT user_id FROM solve_replay_removal_drift
UNION
SELECT user_id FROM solve_replay_row_drift
UNION
SELECT user_id FROM solve_replay_solve_drift
UNION
SELECT user_id FROM solve_replay_key_drift;
ALTER TABLE solve_replay_repairs ADD PRIMARY KEY (user_id);

CREATE UNLOGGED TABLE solve_replay_fix AS
SELECT standing.* FROM solve_replay_standing AS standing JOIN solve_replay_repairs USING (user_id);
ALTER TABLE solve_replay_fix ADD PRIMARY KEY (user_id, problem_id, submission_id);
ALTER TABLE solve_replay_names ADD PRIMARY KEY (user_id);
ALTER TABLE solve_replay_removed ADD PRIMARY KEY (user_id);
ALTER TABLE solve_replay_problems ADD PRIMARY KEY (problem_id);

ANALYZE solve_replay_repairs, solve_replay_fix, solve_replay_names, solve_replay_removed;

-- name: repair_names
-- Gives users their latest name and listing in the log, whatever follows from their removals.
{solve_projector.replay.said_users.take_names}
    AND users.user_id = ANY ($1::text[])

-- name: repair_removals
-- Makes the removals of users what the log says, and takes the names that go with them.
WITH said AS (
    SELECT * FROM solve_replay_removed WHERE user_id = ANY ($1::text[])
),
extra AS (
    DELETE FROM user_removals WHERE user_id = ANY ($1::text[]) AND user_id NOT IN (SELECT user_id FROM said)
),
{solve_projector.replay.said_users.write_removals}

-- name: repair_parked
-- Makes the parked events of unknown users what the log says; acknowledgements stay.
INSERT INTO parked_events ({solve_projector.store.verdict_rows.columns})
SELECT said.*
FROM solve_replay_fix AS said
WHERE said.user_id = ANY ($1::text[]) AND NOT EXISTS (SELECT FROM users WHERE users.user_id = said.user_id)
ORDER BY user_id, problem_id, submission_id
{solve_projector.store.verdict_rows.replace}

-- name: repair_users
-- Creates users whom the log registered, by id.
INSERT INTO users (user_id, username, registered_at, listed, nameless, origin)
SELECT user_id, username, registered_at, NOT unlisted, username = '', 'log'
FROM solve_replay_names
WHERE user_id = ANY ($1::text[])
ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING

-- name: add_missing_verdicts
-- Makes the verdicts of users what the log says, up to the offsets that are locked.
INSERT INTO verdicts
SELECT said.*
FROM solve_replay_fix AS said
JOIN users USING (user_id)
WHERE said.user_id = ANY ($1::text[])
ORDER BY user_id, problem_id, submission_id
ON CONFLICT DO NOTHING

-- name: has_waiters
-- Whether another session waits for a lock of this transaction.
SELECT EXISTS (
    SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))
)
