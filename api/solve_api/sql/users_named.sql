-- Who has this name; names repeat. By count, then by id.
SELECT user_id, username, problems_solved, last_solved_at
FROM users
WHERE username = $1
ORDER BY problems_solved DESC, user_id
LIMIT $2
