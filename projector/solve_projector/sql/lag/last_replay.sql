-- What the newest replay of this log left.
SELECT extract(epoch FROM finished_at)::float8 AS finished_at_s, drift, drifted_users
FROM replay_runs
WHERE topic = $1
ORDER BY replay_run_id DESC
LIMIT 1
