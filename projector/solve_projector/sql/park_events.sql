-- Keeps verdicts of users who do not exist, folded by the same rule as verdicts (I5).
INSERT INTO parked_events AS standing (
    user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset
)
SELECT *
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::text[],
    $8::text[], $9::text[], $10::integer[], $11::bigint[]
)
ON CONFLICT (user_id, problem_id, submission_id) DO UPDATE SET
    solved = excluded.solved,
    judged_at = excluded.judged_at,
    submitted_at = excluded.submitted_at,
    language = excluded.language,
    contest_id = excluded.contest_id,
    reason = excluded.reason,
    source_partition = excluded.source_partition,
    source_offset = excluded.source_offset
WHERE (excluded.judged_at, NOT excluded.solved) > (standing.judged_at, NOT standing.solved)
    OR (
        (excluded.judged_at, excluded.solved) = (standing.judged_at, standing.solved)
        AND (
            coalesce(excluded.submitted_at, '-infinity'), excluded.language, excluded.contest_id,
            excluded.reason, excluded.source_partition, excluded.source_offset
        ) < (
            coalesce(standing.submitted_at, '-infinity'), standing.language, standing.contest_id,
            standing.reason, standing.source_partition, standing.source_offset
        )
    )
