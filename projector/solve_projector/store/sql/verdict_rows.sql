-- Parts of the statements that write verdicts, parked events and a replay's copy of them: the same rows, the same rule.

-- name: columns
-- In the order of `Verdict` in `domain/rule.py`.
user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
source_partition, source_offset, revision, source

-- name: arrays
-- Rows from one array a column.
unnest(
    $1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::text[],
    $8::text[], $9::text[], $10::integer[], $11::bigint[], $12::bigint[], $13::text[]
)

-- name: replace
-- One row a submission: a second one replaces it ...
ON CONFLICT (user_id, problem_id, submission_id) DO UPDATE SET
    (
        solved, judged_at, submitted_at, language, contest_id, reason, source_partition, source_offset, revision, source
    ) = (
        excluded.solved, excluded.judged_at, excluded.submitted_at, excluded.language, excluded.contest_id,
        excluded.reason, excluded.source_partition, excluded.source_offset, excluded.revision, excluded.source
    )

-- name: by_the_rule
-- ... if it beats the first one, `standing`: the greatest revision, then the latest judgement, then revoked,
-- then the smaller content, then the smaller place in the log. The source goes with the place.
WHERE (excluded.revision, excluded.judged_at, NOT excluded.solved)
    > (standing.revision, standing.judged_at, NOT standing.solved)
    OR (
        (excluded.revision, excluded.judged_at, excluded.solved)
            = (standing.revision, standing.judged_at, standing.solved)
        AND (
            coalesce(excluded.submitted_at, '-infinity'), excluded.language, excluded.contest_id,
            excluded.reason, excluded.source_partition, excluded.source_offset
        ) < (
            coalesce(standing.submitted_at, '-infinity'), standing.language, standing.contest_id,
            standing.reason, standing.source_partition, standing.source_offset
        )
    )
