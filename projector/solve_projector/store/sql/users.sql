-- name: create_users
-- Creates users that the log registers; returns those it created, not one that another transaction created first.
INSERT INTO users (user_id, username, registered_at, origin)
SELECT user_id, username, registered_at, 'log'
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS registered (user_id, username, registered_at)
ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id

-- name: lock_users
-- Locks the users that a batch names, by id, and returns those who exist (I11).
-- A statement of its own: one that locks and reads keeps the snapshot from before it waited.
SELECT user_id
FROM users
WHERE user_id = ANY ($1::text[])
ORDER BY user_id
FOR UPDATE

-- name: rename_users
-- The latest registration names the user; on a tie the greater name. The log wins over the site.
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

-- name: recount_users
-- Counts users anew from their solves, with a newer version. The caller holds their row locks.
UPDATE users SET
    problems_solved = counted.problems_solved,
    last_solved_at = counted.last_solved_at,
    version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
FROM (
    SELECT ids.user_id, count(solves.solved_at)::integer AS problems_solved, max(solves.solved_at) AS last_solved_at
    FROM unnest($1::text[]) AS ids (user_id)
    LEFT JOIN solves USING (user_id)
    GROUP BY ids.user_id
) AS counted
WHERE users.user_id = counted.user_id
RETURNING users.user_id, users.problems_solved, users.last_solved_at, users.version
