-- Creates users whom the log registered, by id.
INSERT INTO users (user_id, username, registered_at, origin)
SELECT user_id, username, registered_at, 'log'
FROM solve_replay_names
WHERE user_id = ANY ($1::text[])
ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING
