-- Who should be on the board, by id.
SELECT user_id
FROM users
WHERE user_id > $1 AND problems_solved > 0
ORDER BY user_id
LIMIT $2
