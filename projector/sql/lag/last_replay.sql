-- What the newest replay of this log found.
SELECT extract(epoch FROM finished_at)::float8 AS finished_at_s, dry_run, drift, users_updated
FROM replay_runs
WHERE topic = $1
ORDER BY replay_run_id DESC
LIMIT 1
