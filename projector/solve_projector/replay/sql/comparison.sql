-- name: compare_rows
-- Rows that differ from the log, both at the same offsets: every one of them is drift.
CREATE UNLOGGED TABLE solve_replay_row_drift WITH (autovacuum_enabled = off) AS
SELECT false AS parked, {solve_projector.replay.row_drift.columns}
FROM (SELECT standing.* FROM solve_replay_standing AS standing JOIN solve_replay_known USING (user_id)) AS said
FULL JOIN verdicts AS live USING (user_id, problem_id, submission_id)
{solve_projector.replay.row_drift.where_different};

-- parked events of a user who exists wait for the next sweep: no drift yet
DELETE FROM solve_replay_row_drift AS drift
USING parked_events, users
WHERE parked_events.user_id = drift.user_id AND users.user_id = drift.user_id
    AND parked_events.problem_id = drift.problem_id AND parked_events.submission_id = drift.submission_id;

INSERT INTO solve_replay_row_drift
SELECT true, {solve_projector.replay.row_drift.columns}
FROM (
    SELECT *
    FROM solve_replay_standing AS standing
    WHERE NOT EXISTS (SELECT FROM solve_replay_known WHERE solve_replay_known.user_id = standing.user_id)
) AS said
FULL JOIN (
    SELECT * FROM parked_events WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = parked_events.user_id)
) AS live USING (user_id, problem_id, submission_id)
{solve_projector.replay.row_drift.where_different};

-- name: compare_solves
-- First solves that differ from the log, at the offsets of `compare_rows`.
CREATE UNLOGGED TABLE solve_replay_solve_drift WITH (autovacuum_enabled = off) AS
SELECT
    user_id, problem_id,
    CASE WHEN live.solved_at IS NULL THEN 'missing' WHEN said.solved_at IS NULL THEN 'extra' ELSE 'different' END AS kind
FROM (SELECT solves.* FROM solve_replay_solves AS solves JOIN solve_replay_known USING (user_id)) AS said
FULL JOIN solves AS live USING (user_id, problem_id)
WHERE (said.solved_at, said.submission_id, said.language, said.contest_id)
    IS DISTINCT FROM (live.solved_at, live.submission_id, live.language, live.contest_id);

-- parked events of a user who exists wait for the next sweep: no drift yet
DELETE FROM solve_replay_solve_drift AS drift
USING parked_events, users
WHERE parked_events.user_id = drift.user_id AND users.user_id = drift.user_id
    AND parked_events.problem_id = drift.problem_id;

-- name: compare_problems
-- Facts about problems that differ from the log.
CREATE UNLOGGED TABLE solve_replay_problem_drift WITH (autovacuum_enabled = off) AS
SELECT
    problem_id,
    CASE WHEN live.decided_at IS NULL THEN 'missing' WHEN said.decided_at IS NULL THEN 'extra' ELSE 'different' END AS kind
FROM solve_replay_problems AS said
FULL JOIN problem_facts AS live USING (problem_id)
WHERE (said.decided_at, said.withdrawn, said.reason) IS DISTINCT FROM (live.decided_at, live.withdrawn, live.reason);

-- who is not counted anew yet since a fact about a problem: no drift yet
CREATE UNLOGGED TABLE solve_replay_waiting WITH (autovacuum_enabled = off) AS
SELECT DISTINCT solves.user_id
FROM problem_recounts AS queued
JOIN solves ON solves.problem_id = queued.problem_id
    AND (solves.user_id, solves.problem_id) > (queued.after_user_id, queued.after_problem_id);
ANALYZE solve_replay_waiting

-- name: compare_users
-- Users whose name, listing, count or last solve differs from the log, and missing users. Of a user of the site the facts
-- wait for the next sweep.
CREATE UNLOGGED TABLE solve_replay_user_drift WITH (autovacuum_enabled = off) AS
SELECT
    known.user_id,
    users.problems_solved AS old_count,
    coalesce(counts.problems_solved, 0) AS new_count,
    users.last_solved_at AS old_last_solved_at,
    counts.last_solved_at AS new_last_solved_at,
    coalesce(users.problems_solved, 0) <> coalesce(counts.problems_solved, 0)
        OR users.last_solved_at IS DISTINCT FROM counts.last_solved_at AS updated,
    users.user_id IS NULL AS missing
FROM solve_replay_known AS known
LEFT JOIN users USING (user_id)
LEFT JOIN solve_replay_names AS names USING (user_id)
LEFT JOIN solve_replay_removed AS removal USING (user_id)
LEFT JOIN solve_replay_counts AS counts USING (user_id)
CROSS JOIN LATERAL ({solve_projector.replay.said_users.registered}) AS registered
CROSS JOIN LATERAL ({solve_projector.store.user_rule.state}) AS state
WHERE users.user_id IS NULL
    OR (
        names.user_id IS NOT NULL
        AND (users.username, users.listed, users.removed, users.registered_at, users.nameless, users.origin)
            IS DISTINCT FROM (
                state.username, state.listed, state.removed, names.registered_at, names.username = '', 'log'
            )
    )
    OR (names.user_id IS NULL AND users.removed AND removal.user_id IS NULL)
    OR (
        (users.problems_solved, users.last_solved_at)
            IS DISTINCT FROM (coalesce(counts.problems_solved, 0), counts.last_solved_at)
        AND NOT EXISTS (SELECT FROM parked_events WHERE parked_events.user_id = users.user_id)
        AND users.user_id NOT IN (SELECT user_id FROM solve_replay_waiting)
    )

-- name: compare_removals
-- Removals that differ from the log.
CREATE UNLOGGED TABLE solve_replay_removal_drift WITH (autovacuum_enabled = off) AS
SELECT
    user_id,
    CASE WHEN live.removed_at IS NULL THEN 'missing' WHEN said.removed_at IS NULL THEN 'extra' ELSE 'different' END AS kind
FROM solve_replay_removed AS said
FULL JOIN user_removals AS live USING (user_id)
WHERE (said.removed_at, said.reason, said.erased_at) IS DISTINCT FROM (live.removed_at, live.reason, live.erased_at)

-- name: take_facts_from_the_tables
-- For an audit of some partitions, which alone cannot prove facts about users and problems.
TRUNCATE solve_replay_removed, solve_replay_problems;
INSERT INTO solve_replay_removed SELECT {solve_projector.store.removal_rows.columns} FROM user_removals;
INSERT INTO solve_replay_problems SELECT {solve_projector.store.withdrawals.columns} FROM problem_facts

-- name: compare_search_keys
-- Search keys that users lack, and those of no user: their triggers were off, or PostgreSQL folds text otherwise now.
DROP TABLE IF EXISTS solve_replay_key_drift;
CREATE UNLOGGED TABLE solve_replay_key_drift WITH (autovacuum_enabled = off) AS
SELECT key, user_id, CASE WHEN live.user_id IS NULL THEN 'missing' ELSE 'extra' END AS kind
FROM ({solve_projector.replay.search_keys.of_users}) AS said
FULL JOIN user_search_keys AS live USING (key, user_id)
WHERE said.user_id IS NULL OR live.user_id IS NULL;
CREATE INDEX ON solve_replay_key_drift (user_id)

-- name: compare_dead_letters
-- Missing dead letters, and those whose record applies by now. $1 is the topic, $2 and $3 are the snapshot's offsets.
SELECT
    coalesce(said.partition, live.partition) AS partition,
    coalesce(said."offset", live."offset") AS "offset",
    CASE WHEN live.partition IS NULL THEN 'missing' ELSE 'extra' END AS kind
FROM solve_replay_rejected AS said
FULL JOIN (
    SELECT dead_letters.partition, dead_letters."offset", dead_letters.discarded_at
    FROM dead_letters
    JOIN unnest($2::integer[], $3::bigint[]) AS reached (partition, next_offset) USING (partition)
    WHERE dead_letters.topic = $1 AND dead_letters."offset" < reached.next_offset
) AS live USING (partition, "offset")
-- a discarded one stays, also if its record applies by now
WHERE live.partition IS NULL OR (said.partition IS NULL AND live.discarded_at IS NULL)

-- name: leave_other_users_out
-- For an audit of some partitions: drops users with verdicts from others, whom these alone cannot prove.
DELETE FROM solve_replay_user_drift AS drift
USING verdicts
WHERE verdicts.user_id = drift.user_id AND verdicts.source_partition <> ALL ($1::integer[])

-- name: leave_later_registrations_out
-- The same of users who were registered again in another partition.
DELETE FROM solve_replay_user_drift AS drift
USING users
JOIN solve_replay_names AS names USING (user_id)
WHERE users.user_id = drift.user_id AND users.registered_at > names.registered_at

-- name: leave_other_solves_out
-- The same of first solves: an earlier one may lie in another partition.
DELETE FROM solve_replay_solve_drift AS drift
USING verdicts
WHERE verdicts.user_id = drift.user_id AND verdicts.source_partition <> ALL ($1::integer[])

-- name: reached
-- The latest place in the log that a row names, by partition: PostgreSQL has applied it, whatever its offset says.
SELECT source_partition, max(source_offset) AS last_offset
FROM (
    SELECT source_partition, source_offset FROM verdicts
    UNION ALL
    SELECT source_partition, source_offset FROM parked_events
) AS rows
GROUP BY source_partition
