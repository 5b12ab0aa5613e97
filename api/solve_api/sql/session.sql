SELECT admin_id, a.name, s.last_seen_at, least(s.expires_at, s.created_at + $3::interval) AS expires_at
FROM admin_sessions s
JOIN admins a USING (admin_id)
WHERE s.session_hash = $1
  AND a.disabled_at IS NULL
  AND s.expires_at > $2
  AND s.created_at + $3::interval > $2
  AND s.last_seen_at + $4::interval > $2
