-- name: record_run
-- Records a replay for monitors.
INSERT INTO replay_runs (topic, dry_run, drift, total_users, drifted_users, records_read)
VALUES ($1, $2, $3, $4, $5, $6)
