-- What the board must show of everybody who ever had a solved problem.
SELECT user_id, problems_solved, last_solved_at, version
FROM users
WHERE version > 0
