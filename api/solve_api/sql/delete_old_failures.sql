-- Those that somebody else counts right now are left to them.
DELETE FROM admin_lockouts
WHERE name IN (
    SELECT name
    FROM admin_lockouts
    WHERE last_failed_at <= $2 AND coalesce(locked_until <= $1, true)
    FOR UPDATE SKIP LOCKED
)
