-- The first places of the board, as PostgreSQL has it.
SELECT user_id, username, problems_solved, last_solved_at
FROM users
WHERE problems_solved > 0
ORDER BY problems_solved DESC, date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id
LIMIT $1
