-- Makes the parked events of unknown users what the log says; who acknowledged one is kept.
INSERT INTO parked_events AS live (
    user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset
)
SELECT said.*
FROM solve_replay_fix AS said
WHERE said.user_id = ANY ($1::text[]) AND NOT EXISTS (SELECT FROM users WHERE users.user_id = said.user_id)
ORDER BY user_id, problem_id, submission_id
ON CONFLICT (user_id, problem_id, submission_id) DO UPDATE SET
    solved = excluded.solved,
    judged_at = excluded.judged_at,
    submitted_at = excluded.submitted_at,
    language = excluded.language,
    contest_id = excluded.contest_id,
    reason = excluded.reason,
    source_partition = excluded.source_partition,
    source_offset = excluded.source_offset
WHERE (live.solved, live.judged_at, live.submitted_at, live.language, live.contest_id, live.reason,
        live.source_partition, live.source_offset)
    IS DISTINCT FROM (excluded.solved, excluded.judged_at, excluded.submitted_at, excluded.language,
        excluded.contest_id, excluded.reason, excluded.source_partition, excluded.source_offset)
