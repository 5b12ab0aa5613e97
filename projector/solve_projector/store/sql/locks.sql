-- name: try_lock
SELECT pg_try_advisory_lock($1::integer, hashtext(current_schema()))

-- name: try_lock_transaction
SELECT pg_try_advisory_xact_lock($1::integer, hashtext(current_schema()))

-- name: wait_lock
SELECT pg_advisory_lock($1::integer, hashtext(current_schema()))

-- name: wait_migration_lock
SELECT pg_advisory_xact_lock($1::integer, hashtext($2))

-- name: unlock
SELECT pg_advisory_unlock($1::integer, hashtext(current_schema()))

-- name: lock_holder
-- Who holds an advisory lock of ours in this schema; pg_locks shows the second key as an unsigned number.
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
    AND pg_locks.objsubid = 2
    AND pg_locks.classid::bigint = $1::integer
    AND pg_locks.objid::bigint = hashtext(current_schema())::bigint & 4294967295
