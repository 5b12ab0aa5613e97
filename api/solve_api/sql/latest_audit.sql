SELECT audit_id, at, who, via, action, detail, result, request_id, client
FROM admin_audit
WHERE $2::bigint IS NULL OR audit_id < $2
ORDER BY audit_id DESC
LIMIT $1
