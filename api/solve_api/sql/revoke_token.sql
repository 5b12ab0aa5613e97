WITH t AS (
    UPDATE admin_tokens
    SET revoked_at = coalesce(revoked_at, $3)
    WHERE token_id = $1 AND ($2::bigint IS NULL OR admin_id = $2)
    RETURNING *
)
SELECT token_id, name AS admin, label, scopes, t.created_at, expires_at, last_used_at, revoked_at
FROM t
JOIN admins USING (admin_id)
