-- A stretch of the board of all time: $2 places after the first $1.
SELECT problems_solved, extract(epoch FROM date_trunc('second', last_solved_at))::bigint AS seconds, user_id
FROM users
WHERE problems_solved > 0
ORDER BY problems_solved DESC, date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id
OFFSET $1
LIMIT $2
