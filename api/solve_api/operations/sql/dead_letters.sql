-- name: open_dead_letters
-- Open dead letters by reason.
SELECT reason, count(*)::integer AS number, min(created_at) AS oldest
FROM dead_letters
WHERE discarded_at IS NULL
GROUP BY reason
ORDER BY number DESC, reason

-- name: open_parked
-- The number of parked events that nobody acknowledged, counted up to $1.
SELECT count(*)
FROM (SELECT FROM parked_events WHERE acknowledged_at IS NULL LIMIT $1) AS counted
