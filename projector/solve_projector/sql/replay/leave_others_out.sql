-- Of an audit of some partitions: users whose verdicts come from others as well cannot be judged by these alone.
DELETE FROM solve_replay_user_drift AS drift
USING verdicts
WHERE verdicts.user_id = drift.user_id AND verdicts.source_partition <> ALL ($1::integer[])
