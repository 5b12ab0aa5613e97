-- Parts of the statements that keep removals, and a replay's copy of them: the same rows, the same rule.

-- name: arrays
-- Rows from one array a column.
unnest($1::text[], $2::timestamptz[], $3::text[], $4::timestamptz[])

-- name: columns
user_id, removed_at, reason, erased_at

-- name: by_the_rule
-- The latest removal of a user, of one time the smaller reason; and the latest erasure.
ON CONFLICT (user_id) DO UPDATE SET
    removed_at = greatest(standing.removed_at, excluded.removed_at),
    reason = CASE
        WHEN excluded.removed_at > standing.removed_at THEN excluded.reason
        WHEN excluded.removed_at = standing.removed_at THEN least(excluded.reason, standing.reason)
        ELSE standing.reason
    END,
    erased_at = greatest(standing.erased_at, excluded.erased_at)
WHERE excluded.removed_at > standing.removed_at
    OR (excluded.removed_at = standing.removed_at AND excluded.reason < standing.reason)
    OR excluded.erased_at > coalesce(standing.erased_at, '-infinity')
