-- A user's verdicts, the standing ones of each problem first.
SELECT problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, source_partition, source_offset
FROM verdicts
WHERE user_id = $1
ORDER BY problem_id, solved DESC, submitted_at, submission_id
