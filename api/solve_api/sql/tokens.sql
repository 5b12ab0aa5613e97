SELECT token_id, name AS admin, label, scopes, t.created_at, expires_at, last_used_at, revoked_at
FROM admin_tokens t
JOIN admins USING (admin_id)
WHERE $1::bigint IS NULL OR admin_id = $1
ORDER BY token_id DESC
