-- Who holds an advisory lock of ours in this database.
SELECT
    activity.pid,
    activity.application_name,
    coalesce(host(activity.client_addr), 'this machine') AS client,
    activity.backend_start AT TIME ZONE 'UTC' AS since
FROM pg_locks
JOIN pg_stat_activity AS activity USING (pid)
WHERE pg_locks.locktype = 'advisory'
    AND pg_locks.granted
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND pg_locks.classid = 0 AND pg_locks.objid::bigint = $1
