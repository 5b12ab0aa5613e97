SELECT token_id, admin_id, a.name, t.label, t.scopes, t.last_used_at
FROM admin_tokens t
JOIN admins a USING (admin_id)
WHERE t.token_hash = $1
  AND t.revoked_at IS NULL
  AND t.expires_at > $2
  AND a.disabled_at IS NULL
