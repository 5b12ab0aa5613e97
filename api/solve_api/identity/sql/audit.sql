-- name: latest_audit
-- The newest $1 rows, or those before row $2. A row is open if it says that a deed started and no later one its end.
SELECT audit_id, at, who, via, action, detail, result, request_id, client,
       deed IS NOT NULL AND NOT EXISTS (
           SELECT FROM admin_audit later WHERE later.deed = a.deed AND later.audit_id > a.audit_id
       ) AND result = 'started' AS open
FROM admin_audit a
WHERE $2::bigint IS NULL OR audit_id < $2
ORDER BY audit_id DESC
LIMIT $1

-- name: record_audit
-- Adds a row.
INSERT INTO admin_audit (who, via, action, detail, result, request_id, client, deed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
