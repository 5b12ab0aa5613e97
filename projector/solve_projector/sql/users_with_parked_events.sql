-- Users who exist by now and still have parked events.
SELECT parked_events.user_id
FROM parked_events
JOIN users USING (user_id)
GROUP BY parked_events.user_id
ORDER BY parked_events.user_id
LIMIT $1
