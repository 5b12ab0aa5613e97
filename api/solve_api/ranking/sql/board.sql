-- name: board_before
-- Counts the users ranked before a position: $1 problems, $2 whole second (UTC, without a zone), $3 user.
SELECT count(*)
FROM users
WHERE problems_solved > 0
    AND problems_solved >= $1
    AND (
        problems_solved > $1
        OR (date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id) < ($2::timestamp, $3)
    )

-- name: board_places
-- Places of the given users on the board of all time.
SELECT
    placed.problems_solved, extract(epoch FROM date_trunc('second', placed.last_solved_at))::bigint AS seconds,
    placed.user_id, 1 + {solve_projector.store.users.standing_before} AS rank
FROM users AS placed
WHERE placed.user_id = ANY ($1::text[]) AND placed.problems_solved > 0

-- name: board_rows
-- One page of the board of all time: $2 places after the first $1.
SELECT problems_solved, extract(epoch FROM date_trunc('second', last_solved_at))::bigint AS seconds, user_id
FROM users
WHERE problems_solved > 0
ORDER BY problems_solved DESC, date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id
OFFSET $1
LIMIT $2

-- name: period_board
-- Users who first solved problems in [$1, $2): how many, and when the last one.
SELECT count(*)::integer AS problems_solved, extract(epoch FROM date_trunc('second', max(solved_at)))::bigint AS seconds, user_id
FROM solves
WHERE solved_at >= $1 AND solved_at < $2
GROUP BY user_id
ORDER BY 1 DESC, 2, 3
