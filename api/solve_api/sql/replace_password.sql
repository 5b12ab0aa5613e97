-- Without $3 whoever has it, also one who is disabled: an operator's. With it only where the password is still that one.
UPDATE admins
SET password_hash = $2, password_changed_at = now()
WHERE admin_id = $1 AND ($3::timestamptz IS NULL OR (password_changed_at = $3 AND disabled_at IS NULL))
RETURNING admin_id
