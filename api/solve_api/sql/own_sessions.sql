-- An admin's open sessions, the latest used first. The id is a hash of the hash: nobody can log in with it.
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
