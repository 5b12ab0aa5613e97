-- What the board must show of some users.
SELECT user_id, problems_solved, last_solved_at, version
FROM users
WHERE user_id = ANY ($1::text[])
