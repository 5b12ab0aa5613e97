-- name: all_standings
-- What the board must show of everybody who ever had a solved problem.
SELECT user_id, problems_solved, last_solved_at, version
FROM users
WHERE version > 0

-- name: standings_of
-- What the board must show of some users.
SELECT user_id, problems_solved, last_solved_at, version
FROM users
WHERE user_id = ANY ($1::text[])

-- name: ranked_ids
-- Who should be on the board, by id.
SELECT user_id
FROM users
WHERE user_id > $1 AND problems_solved > 0
ORDER BY user_id
LIMIT $2

-- name: read_outbox
-- Users whose change no offset stands for, with what the board must show of them now.
SELECT leaderboard_outbox.outbox_id, users.user_id, users.problems_solved, users.last_solved_at, users.version
FROM leaderboard_outbox
JOIN users USING (user_id)
ORDER BY leaderboard_outbox.outbox_id
LIMIT $1
