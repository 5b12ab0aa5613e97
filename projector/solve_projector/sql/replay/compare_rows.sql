-- Where the tables are not what the log says, both at the same offsets: whatever is found here is drift.
CREATE UNLOGGED TABLE solve_replay_row_drift WITH (autovacuum_enabled = off) AS
SELECT
    coalesce(said.user_id, live.user_id) AS user_id,
    coalesce(said.problem_id, live.problem_id) AS problem_id,
    coalesce(said.submission_id, live.submission_id) AS submission_id,
    CASE
        WHEN live.user_id IS NULL THEN 'missing'
        WHEN said.user_id IS NULL THEN 'extra'
        ELSE 'different'
    END AS kind,
    false AS parked,
    live.source_partition AS live_partition
FROM (SELECT standing.* FROM solve_replay_standing AS standing JOIN solve_replay_known USING (user_id)) AS said
FULL JOIN verdicts AS live USING (user_id, problem_id, submission_id)
WHERE (said.solved, said.judged_at, said.submitted_at, said.language, said.contest_id, said.reason)
    IS DISTINCT FROM (live.solved, live.judged_at, live.submitted_at, live.language, live.contest_id, live.reason);

-- parked events of a user who exists wait for the next sweep: no drift yet
DELETE FROM solve_replay_row_drift AS drift
USING parked_events, users
WHERE parked_events.user_id = drift.user_id AND users.user_id = drift.user_id
    AND parked_events.problem_id = drift.problem_id AND parked_events.submission_id = drift.submission_id;

INSERT INTO solve_replay_row_drift
SELECT
    coalesce(said.user_id, live.user_id),
    coalesce(said.problem_id, live.problem_id),
    coalesce(said.submission_id, live.submission_id),
    CASE
        WHEN live.user_id IS NULL THEN 'missing'
        WHEN said.user_id IS NULL THEN 'extra'
        ELSE 'different'
    END,
    true,
    live.source_partition
FROM (
    SELECT *
    FROM solve_replay_standing AS standing
    WHERE NOT EXISTS (SELECT FROM solve_replay_known WHERE solve_replay_known.user_id = standing.user_id)
) AS said
FULL JOIN (
    SELECT * FROM parked_events WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = parked_events.user_id)
) AS live USING (user_id, problem_id, submission_id)
WHERE (said.solved, said.judged_at, said.submitted_at, said.language, said.contest_id, said.reason)
    IS DISTINCT FROM (live.solved, live.judged_at, live.submitted_at, live.language, live.contest_id, live.reason);
