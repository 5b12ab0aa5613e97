-- name: bearer
-- The owner of a valid token.
SELECT token_id, admin_id, a.name, t.label, t.scopes, t.last_used_at
FROM admin_tokens t
JOIN admins a USING (admin_id)
WHERE t.token_hash = $1
  AND t.revoked_at IS NULL
  AND t.expires_at > $2
  AND a.disabled_at IS NULL

-- name: valid_tokens
-- Of many tokens those that are valid, by the same rule.
SELECT token_id
FROM admin_tokens t
JOIN admins a USING (admin_id)
WHERE token_id = ANY ($1::bigint[])
  AND t.revoked_at IS NULL
  AND t.expires_at > $2
  AND a.disabled_at IS NULL

-- name: create_token
-- Adds a token.
WITH t AS (
    INSERT INTO admin_tokens (token_hash, admin_id, label, scopes, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING *
)
SELECT token_id, name AS admin, label, scopes, t.created_at, expires_at, last_used_at, revoked_at
FROM t
JOIN admins USING (admin_id)

-- name: revoke_token
-- Revokes a token once; with $2, only if it belongs to that admin.
WITH t AS (
    UPDATE admin_tokens
    SET revoked_at = coalesce(revoked_at, $3)
    WHERE token_id = $1 AND ($2::bigint IS NULL OR admin_id = $2)
    RETURNING *
)
SELECT token_id, name AS admin, label, scopes, t.created_at, expires_at, last_used_at, revoked_at
FROM t
JOIN admins USING (admin_id)

-- name: tokens
-- Tokens of one admin, or of all.
SELECT token_id, name AS admin, label, scopes, t.created_at, expires_at, last_used_at, revoked_at
FROM admin_tokens t
JOIN admins USING (admin_id)
WHERE $1::bigint IS NULL OR admin_id = $1
ORDER BY token_id DESC
