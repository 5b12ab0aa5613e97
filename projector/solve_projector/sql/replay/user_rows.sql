-- A user's verdicts, with those that wait for the next sweep.
SELECT user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason
FROM verdicts
WHERE user_id = $1
UNION ALL
SELECT user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason
FROM parked_events
WHERE user_id = $1
