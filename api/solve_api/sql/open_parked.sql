-- How many parked events nobody acknowledged, up to $1: that many are said as "and more".
SELECT count(*)
FROM (SELECT FROM parked_events WHERE acknowledged_at IS NULL LIMIT $1) AS counted
