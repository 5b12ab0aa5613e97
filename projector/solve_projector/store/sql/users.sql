-- name: create_users
-- Creates users that the log registers; returns those it created, not one that another transaction created first.
INSERT INTO users (user_id, username, registered_at, listed, nameless, origin)
SELECT user_id, username, registered_at, NOT unlisted, username = '', 'log'
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[])
    AS registered (user_id, username, registered_at, unlisted)
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
-- The latest registration names and lists the user; of one time the unlisted one, then the greater name. The log wins
-- over the site. Returns what the leaderboard must show of those who are listed otherwise now.
UPDATE users SET
    username = {solve_projector.store.named.username},
    registered_at = names.registered_at,
    listed = NOT names.unlisted,
    nameless = names.username = '',
    origin = 'log',
    version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[])
    AS names (user_id, username, registered_at, unlisted)
WHERE users.user_id = names.user_id
    AND (
        users.origin = 'site'
        OR users.registered_at IS NULL
        OR (names.registered_at, names.unlisted, names.username COLLATE "C")
            > (users.registered_at, NOT users.listed, CASE WHEN users.nameless THEN '' ELSE users.username END COLLATE "C")
    )
RETURNING old.listed <> new.listed AS is_listed_otherwise, {solve_projector.store.standing.columns}

-- name: recount_users
-- Counts users anew from their solves of problems that are not withdrawn, with a newer version. The caller holds their row locks.
UPDATE users SET
    problems_solved = counted.problems_solved,
    last_solved_at = counted.last_solved_at,
    version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
FROM (
    SELECT ids.user_id, solved.*
    FROM (SELECT DISTINCT unnest($1::text[])) AS ids (user_id)
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS problems_solved, max(solved_at) AS last_solved_at
        FROM solves
        WHERE solves.user_id = ids.user_id AND {solve_projector.store.withdrawals.none_of}
    ) AS solved
) AS counted
WHERE users.user_id = counted.user_id
RETURNING {solve_projector.store.standing.columns}
