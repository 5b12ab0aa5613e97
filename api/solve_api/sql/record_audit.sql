INSERT INTO admin_audit (who, via, action, detail, result, request_id, client)
VALUES ($1, $2, $3, $4, $5, $6, $7)
