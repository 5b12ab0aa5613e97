-- Creates users that the log registers. One that another transaction created meanwhile is left out of the answer.
INSERT INTO users (user_id, username, registered_at, origin)
SELECT user_id, username, registered_at, 'log'
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS registered (user_id, username, registered_at)
ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id
