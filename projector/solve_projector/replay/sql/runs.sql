-- name: record_run
-- Records a replay for monitors, which look at the newest; $7 of a topic are kept.
WITH recorded AS (
    INSERT INTO replay_runs (topic, dry_run, drift, total_users, drifted_users, records_read)
    VALUES ($1, $2, $3, $4, $5, $6)
)
DELETE FROM replay_runs
WHERE topic = $1 AND replay_run_id <= (
    SELECT replay_run_id
    FROM replay_runs
    WHERE topic = $1
    ORDER BY replay_run_id DESC
    OFFSET $7::integer - 1
    LIMIT 1
)
