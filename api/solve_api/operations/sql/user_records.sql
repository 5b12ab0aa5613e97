-- name: user_record
-- What the tables have of one user: a row also where the user is in none of them. Parked events are counted up to $2.
SELECT
    asked.user_id, nullif(users.username, '') AS username, users.origin, users.registered_at,
    coalesce(users.origin = 'site' OR users.nameless, false) AS nameless,
    coalesce(users.listed, true) AS listed,
    coalesce(users.removed, removal.user_id IS NOT NULL) AS removed,
    coalesce(users.problems_solved, 0) AS problems_solved, users.last_solved_at,
    removal.removed_at, removal.reason, removal.erased_at,
    coalesce(
        removal.erased_at >= CASE WHEN users.origin = 'log' THEN users.registered_at ELSE '-infinity' END, false
    ) AS erased,
    (SELECT count(*) FROM (SELECT FROM parked_events WHERE user_id = $1 LIMIT $2) AS counted) AS parked_events,
    clock_timestamp() AS as_of
FROM (SELECT $1::text AS user_id) AS asked
LEFT JOIN users USING (user_id)
LEFT JOIN user_removals AS removal USING (user_id)

-- name: find_users
-- Whoever has just the id $1, registered or not, then those whose name or id starts with it, hidden ones too; $2 at most.
WITH asked AS MATERIALIZED (
    -- no key that starts with the first is after the last: none has more than 200 characters
    SELECT user_search_key($1) AS first_key, user_search_key($1) || repeat(chr(1114111), 200) AS last_key
),
-- a user has two keys at most
found AS MATERIALIZED (
    SELECT keys.user_id, keys.key
    FROM asked
    CROSS JOIN LATERAL (
        SELECT user_id, key
        FROM user_search_keys
        WHERE key >= asked.first_key AND key <= asked.last_key
        ORDER BY key, user_id
        LIMIT 2 * $2
    ) AS keys
),
exact AS MATERIALIZED (
    SELECT $1::text COLLATE "C" AS user_id, ''::text COLLATE "C" AS key
    WHERE EXISTS (SELECT FROM users WHERE user_id = $1)
        OR EXISTS (SELECT FROM user_removals WHERE user_id = $1)
        OR EXISTS (SELECT FROM parked_events WHERE user_id = $1)
)
SELECT
    chosen.user_id, nullif(users.username, '') AS username, coalesce(users.listed, true) AS listed,
    coalesce(users.removed, EXISTS (SELECT FROM user_removals WHERE user_id = chosen.user_id)) AS removed,
    coalesce(users.problems_solved, 0) AS problems_solved
FROM (
    SELECT user_id, min(key) AS key
    FROM (SELECT * FROM exact UNION ALL SELECT * FROM found) AS named
    GROUP BY user_id
    ORDER BY key, user_id
    LIMIT $2
) AS chosen
LEFT JOIN users ON users.user_id = chosen.user_id
ORDER BY chosen.key, chosen.user_id
