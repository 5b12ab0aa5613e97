SELECT admin_id, name, password_hash, password_changed_at, disabled_at IS NOT NULL AS disabled
FROM admins
WHERE name = $1
