-- Parked events by user; a filter that is NULL lets everything through.
SELECT
    user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset, parked_at, acknowledged_at, acknowledged_by, acknowledged_why
FROM parked_events
WHERE ($1::text IS NULL OR user_id = $1) AND ($2::integer IS NULL OR source_partition = $2)
ORDER BY user_id, problem_id, submission_id
LIMIT $3
