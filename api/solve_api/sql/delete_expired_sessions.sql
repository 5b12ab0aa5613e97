-- Those that somebody else deletes right now are left to them.
DELETE FROM admin_sessions
WHERE session_hash IN (
    SELECT session_hash
    FROM admin_sessions
    WHERE expires_at <= $1 OR created_at <= $2 OR last_seen_at <= $3
    FOR UPDATE SKIP LOCKED
)
