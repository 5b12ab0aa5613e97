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

-- name: latest_time
-- The latest time that the newest $3 rows say (`at`), of those of the actions $1 whose detail has all of $2.
SELECT max((newest.detail ->> 'at')::timestamptz)
FROM (SELECT action, detail FROM admin_audit ORDER BY audit_id DESC LIMIT $3) AS newest
WHERE newest.action = ANY ($1::text[]) AND newest.detail @> $2

-- name: record_audit
-- Adds a row, which a rule of the table may put elsewhere.
INSERT INTO admin_audit (who, via, action, detail, result, request_id, client, deed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING audit_id

-- name: fire_deferred
-- Runs now what triggers of the table would do at the commit.
SET CONSTRAINTS ALL IMMEDIATE

-- name: has_audit
-- Whether row $1 is there, of this transaction and as it was added: a trigger may have removed or changed it.
SELECT EXISTS (
    SELECT FROM admin_audit
    WHERE audit_id = $1 AND at = now() AND (who, via, action, result, request_id, client) = ($2, $3, $4, $6, $7, $8)
        AND detail = $5::jsonb AND deed IS NOT DISTINCT FROM $9
)
