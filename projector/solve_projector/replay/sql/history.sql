-- name: add_live_removals
-- An erased name is shown nowhere, also if its erasure is in a partition that is not read.
INSERT INTO solve_replay_removals SELECT {solve_projector.store.removal_rows.columns} FROM user_removals

-- name: counts_as_of
-- What every known user had solved, of submissions handed in by $1 (NULL: of all that was staged).
SELECT user_id, max(username) AS username, count(first)::integer AS problems_solved, max(first) AS last_solved_at
FROM (
    SELECT known.user_id, shown.username, solves.problem_id, min(solves.submitted_at) AS first
    FROM solve_replay_known AS known
    LEFT JOIN users USING (user_id)
    LEFT JOIN solve_replay_names AS names USING (user_id)
    LEFT JOIN solve_replay_removed AS removal USING (user_id)
    CROSS JOIN LATERAL ({solve_projector.replay.said_users.registered}) AS registered
    CROSS JOIN LATERAL ({solve_projector.store.user_rule.state}) AS shown  -- no erased name, whatever the time
    LEFT JOIN solve_replay_standing AS solves
        ON solves.user_id = known.user_id AND solves.solved AND {solve_projector.replay.problems.none_of}
        AND ($1::timestamptz IS NULL OR solves.submitted_at <= $1)
    GROUP BY known.user_id, shown.username, solves.problem_id
) AS firsts
GROUP BY user_id
ORDER BY count(first) DESC, date_trunc('second', max(first) AT TIME ZONE 'UTC'), user_id

-- name: is_waiting
-- Whether a user waits to be counted anew, since a fact about a problem.
SELECT EXISTS (
    SELECT
    FROM solves
    JOIN problem_recounts AS queued USING (problem_id)
    WHERE solves.user_id = $1
        AND (solves.user_id, solves.problem_id) > (queued.after_user_id, queued.after_problem_id)
)

-- name: user_solves
-- A user's first solves.
SELECT problem_id, solved_at, submission_id, language, contest_id FROM solves WHERE user_id = $1

-- name: user_rows
-- A user's verdicts and parked events.
SELECT user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, revision
FROM verdicts
WHERE user_id = $1
UNION ALL
SELECT user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, revision
FROM parked_events
WHERE user_id = $1
