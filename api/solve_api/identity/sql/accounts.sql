-- name: account
-- One account by name.
SELECT admin_id, name, password_hash, password_changed_at, disabled_at IS NOT NULL AS disabled
FROM admins
WHERE name = $1

-- name: admins
-- All admins, with their open sessions and valid tokens.
SELECT admin_id, name, created_at, password_changed_at, disabled_at,
       (SELECT count(*) FROM admin_sessions s WHERE s.admin_id = a.admin_id AND s.expires_at > now()) AS sessions,
       (
           SELECT count(*) FROM admin_tokens t
           WHERE t.admin_id = a.admin_id AND t.revoked_at IS NULL AND t.expires_at > now()
       ) AS tokens
FROM admins a
ORDER BY name

-- name: replace_password
-- Sets a password. With $3, only if the password is still the one set at that time and the admin is not disabled;
-- without it (an operator's change) in any case.
UPDATE admins
SET password_hash = $2, password_changed_at = now()
WHERE admin_id = $1 AND ($3::timestamptz IS NULL OR (password_changed_at = $3 AND disabled_at IS NULL))
RETURNING admin_id
