-- Parts of statements about the keys that users are found by.

-- name: of_users
-- As the triggers on `users` write them; an id too long for an index has none.
SELECT DISTINCT user_search_key(name) COLLATE "C" AS key, user_id
FROM users
CROSS JOIN LATERAL (VALUES (username), (user_id)) AS names (name)
WHERE octet_length(user_id) <= 800
