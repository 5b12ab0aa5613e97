-- name: open_dead_letters
-- Dead letters that nobody dealt with yet, by their reason.
SELECT reason, count(*)::integer AS number, min(created_at) AS oldest
FROM dead_letters
WHERE discarded_at IS NULL
GROUP BY reason
ORDER BY number DESC, reason

-- name: open_parked
-- How many parked events nobody acknowledged, up to $1: that many are said as "and more".
SELECT count(*)
FROM (SELECT FROM parked_events WHERE acknowledged_at IS NULL LIMIT $1) AS counted
