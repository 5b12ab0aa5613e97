-- name: latest_audit
-- The newest $1 rows, or those before row $2.
SELECT audit_id, at, who, via, action, detail, result, request_id, client
FROM admin_audit
WHERE $2::bigint IS NULL OR audit_id < $2
ORDER BY audit_id DESC
LIMIT $1

-- name: record_audit
-- Adds a row.
INSERT INTO admin_audit (who, via, action, detail, result, request_id, client)
VALUES ($1, $2, $3, $4, $5, $6, $7)
