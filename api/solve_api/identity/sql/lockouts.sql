-- name: count_failure
-- Counts a failure. Returns no row while the name is locked, since the condition of the update is false then. Failures
-- before the last lock, or older than a lock lasts, no longer count.
INSERT INTO admin_lockouts AS l (name, failures, last_failed_at, locked_until)
VALUES ($1, 1, $2, CASE WHEN $4::integer <= 1 THEN $2::timestamptz + $3::interval END)
ON CONFLICT (name) DO UPDATE
SET (failures, last_failed_at, locked_until) = (
    SELECT now.failures, $2, CASE WHEN now.failures >= $4 THEN $2::timestamptz + $3::interval END
    FROM (
        SELECT CASE
            WHEN l.locked_until IS NOT NULL OR l.last_failed_at <= $2::timestamptz - $3::interval THEN 1
            ELSE l.failures + 1
        END
    ) AS now (failures)
)
WHERE l.locked_until IS NULL OR l.locked_until <= $2
RETURNING l.failures

-- name: delete_old_failures
-- Deletes expired failures, except those that another transaction is counting right now.
DELETE FROM admin_lockouts
WHERE name IN (
    SELECT name
    FROM admin_lockouts
    WHERE last_failed_at <= $2 AND coalesce(locked_until <= $1, true)
    FOR UPDATE SKIP LOCKED
)
