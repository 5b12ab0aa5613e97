-- name: open_session
-- Opens a session, unless the admin was disabled or given another password since theirs was checked. The lock makes a
-- concurrent change wait for this insert, then see the session and end it.
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

-- name: session
-- An open session by its hash; $3 and $4 are the limits of its age and of its idle time.
SELECT admin_id, a.name, s.last_seen_at, least(s.expires_at, s.created_at + $3::interval) AS expires_at
FROM admin_sessions s
JOIN admins a USING (admin_id)
WHERE s.session_hash = $1
  AND a.disabled_at IS NULL
  AND s.expires_at > $2
  AND s.created_at + $3::interval > $2
  AND s.last_seen_at + $4::interval > $2

-- name: valid_sessions
-- Of many hashes those of open sessions, by the same rule.
SELECT s.session_hash
FROM admin_sessions s
JOIN admins a USING (admin_id)
WHERE s.session_hash = ANY ($1::bytea[])
  AND a.disabled_at IS NULL
  AND s.expires_at > $2
  AND s.created_at + $3::interval > $2
  AND s.last_seen_at + $4::interval > $2

-- name: own_sessions
-- An admin's open sessions, most recently used first. The id is a hash of the hash: it opens no session.
SELECT
    encode(substring(sha256(session_hash) FROM 1 FOR 8), 'hex') AS session_id,
    client,
    created_at,
    last_seen_at,
    least(expires_at, created_at + $3::interval) AS expires_at
FROM admin_sessions
WHERE admin_id = $1
  AND expires_at > $2
  AND created_at + $3::interval > $2
  AND last_seen_at + $4::interval > $2
ORDER BY last_seen_at DESC, session_id

-- name: end_sessions
-- Ends the named sessions of an admin, without names all, locked in one order so that two transactions wait instead of
-- deadlocking.
DELETE FROM admin_sessions
WHERE session_hash IN (
    SELECT session_hash
    FROM admin_sessions
    WHERE admin_id = $1
      AND ($2::text[] IS NULL OR encode(substring(sha256(session_hash) FROM 1 FOR 8), 'hex') = ANY ($2))
    ORDER BY session_hash
    FOR UPDATE
)
RETURNING session_hash

-- name: delete_expired_sessions
-- Deletes expired sessions, except those that another transaction is deleting right now.
DELETE FROM admin_sessions
WHERE session_hash IN (
    SELECT session_hash
    FROM admin_sessions
    WHERE expires_at <= $1 OR created_at <= $2 OR last_seen_at <= $3
    FOR UPDATE SKIP LOCKED
)
