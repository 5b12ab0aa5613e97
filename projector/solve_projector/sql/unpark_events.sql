-- Takes parked events of users out, to be applied in the same transaction; $2 and $3 narrow it to one submission.
DELETE FROM parked_events
WHERE user_id = ANY ($1::text[]) AND ($2::text IS NULL OR (problem_id, submission_id) = ($2, $3::text))
RETURNING
    user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset
