-- Gives users the name that the log gave them last.
UPDATE users SET username = names.username, registered_at = names.registered_at, origin = 'log'
FROM solve_replay_names AS names
WHERE users.user_id = names.user_id
    AND users.user_id = ANY ($1::text[])
    AND (users.username, users.registered_at, users.origin) IS DISTINCT FROM (names.username, names.registered_at, 'log')
