-- name: top_users
-- The first places of the board, as PostgreSQL has it. Reads all users, for an operator.
SELECT
    rank() OVER (ORDER BY problems_solved DESC, date_trunc('second', last_solved_at)) AS rank,
    user_id, username, problems_solved, last_solved_at
FROM users
WHERE problems_solved > 0 AND {solve_projector.store.listing.is_shown}
ORDER BY problems_solved DESC, date_trunc('second', last_solved_at), user_id
LIMIT $1

-- name: user_record
-- One user's row, and their rank, counted over those who are better. Reads all users, for an operator.
SELECT
    placed.*,
    CASE WHEN placed.problems_solved > 0 AND placed.listed AND NOT placed.removed THEN 1 + (
        SELECT count(*)
        FROM users AS before
        WHERE before.listed AND NOT before.removed AND (
            before.problems_solved > placed.problems_solved
            OR (
                before.problems_solved = placed.problems_solved
                AND date_trunc('second', before.last_solved_at) < date_trunc('second', placed.last_solved_at)
            )
        )
    ) END AS rank
FROM users AS placed
WHERE placed.user_id = $1

-- name: losing_verdicts
-- A user's verdicts that came later in the log than the one that stands and were judged earlier.
SELECT
    problem_id, submission_id, lost.solved, lost.judged_at, lost.source_partition, lost.source_offset,
    standing.judged_at AS standing_judged_at, standing.source_partition AS standing_partition,
    standing.source_offset AS standing_offset
FROM superseded_verdicts AS lost
JOIN verdicts AS standing USING (user_id, problem_id, submission_id)
WHERE user_id = $1 AND lost.losing AND standing.judged_at > lost.judged_at
ORDER BY problem_id, submission_id, lost.judged_at

-- name: user_verdicts
-- A user's verdicts, the standing ones of each problem first.
SELECT
    problem_id, submission_id, revision, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset, source,
    EXISTS (SELECT FROM problem_facts WHERE problem_facts.problem_id = verdicts.problem_id AND withdrawn) AS withdrawn
FROM verdicts
WHERE user_id = $1
ORDER BY problem_id, solved DESC, submitted_at, submission_id
