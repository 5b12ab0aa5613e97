-- Parts of the comparison of what the log `said` with the `live` rows, which a FULL JOIN puts side by side.

-- name: columns
coalesce(said.user_id, live.user_id) AS user_id,
coalesce(said.problem_id, live.problem_id) AS problem_id,
coalesce(said.submission_id, live.submission_id) AS submission_id,
CASE
    WHEN live.user_id IS NULL THEN 'missing'
    WHEN said.user_id IS NULL THEN 'extra'
    ELSE 'different'
END AS kind,
live.source_partition AS live_partition

-- name: where_different
WHERE (said.revision, said.solved, said.judged_at, said.submitted_at, said.language, said.contest_id, said.reason)
    IS DISTINCT FROM (
        live.revision, live.solved, live.judged_at, live.submitted_at, live.language, live.contest_id, live.reason
    )
