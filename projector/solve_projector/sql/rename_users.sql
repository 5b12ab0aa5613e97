-- The latest registration names the user; on a tie the greater name. What the site said loses to the log.
UPDATE users SET
    username = registered.username,
    registered_at = registered.registered_at,
    origin = 'log',
    version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS registered (user_id, username, registered_at)
WHERE users.user_id = registered.user_id
    AND (
        users.origin = 'site'
        OR users.registered_at IS NULL
        OR (registered.registered_at, registered.username COLLATE "C") > (users.registered_at, users.username COLLATE "C")
    )
