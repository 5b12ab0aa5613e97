-- name: open_parked
-- The number of parked events that nobody acknowledged, counted up to $1.
SELECT count(*)
FROM (SELECT FROM parked_events WHERE acknowledged_at IS NULL ORDER BY user_id LIMIT $1) AS counted
