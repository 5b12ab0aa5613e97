-- Nothing is opened for who was disabled, or got another password, since theirs was found right. The lock makes whoever
-- does that now wait for this, and then see and end it.
WITH admin AS (
    SELECT admin_id
    FROM admins
    WHERE admin_id = $2 AND password_changed_at = $3 AND disabled_at IS NULL
    FOR SHARE
)
INSERT INTO admin_sessions (session_hash, admin_id, created_at, last_seen_at, expires_at, client)
SELECT $1, admin_id, $4, $4, $5, $6
FROM admin
RETURNING admin_id
