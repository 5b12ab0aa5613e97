-- name: top_users
-- The first places of the board, as PostgreSQL has it.
SELECT user_id, username, problems_solved, last_solved_at
FROM users
WHERE problems_solved > 0
ORDER BY problems_solved DESC, date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id
LIMIT $1

-- name: user_record
-- One user's row, and their place counted over those who stand before them.
SELECT placed.*, CASE WHEN placed.problems_solved > 0 THEN 1 + {solve_projector.store.users.standing_before} END AS rank
FROM users AS placed
WHERE placed.user_id = $1

-- name: user_verdicts
-- A user's verdicts, the standing ones of each problem first.
SELECT problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, source_partition, source_offset
FROM verdicts
WHERE user_id = $1
ORDER BY problem_id, solved DESC, submitted_at, submission_id
