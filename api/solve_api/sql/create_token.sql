WITH t AS (
    INSERT INTO admin_tokens (token_hash, admin_id, label, scopes, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING *
)
SELECT token_id, name AS admin, label, scopes, t.created_at, expires_at, last_used_at, revoked_at
FROM t
JOIN admins USING (admin_id)
