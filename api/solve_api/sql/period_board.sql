-- Everybody who solved a problem for the first time in [$1, $2): how many, and the last of them. A problem that had a
-- standing solve before the period is none of it.
WITH solved_in AS (
    SELECT user_id, problem_id, min(submitted_at) AS first
    FROM verdicts
    WHERE solved AND submitted_at >= $1 AND submitted_at < $2
    GROUP BY user_id, problem_id
)
SELECT count(*)::integer AS problems_solved, extract(epoch FROM date_trunc('second', max(first)))::bigint AS seconds, user_id
FROM solved_in
WHERE NOT EXISTS (
    SELECT
    FROM verdicts AS earlier
    WHERE earlier.user_id = solved_in.user_id
        AND earlier.problem_id = solved_in.problem_id
        AND earlier.solved
        AND earlier.submitted_at < $1
)
GROUP BY user_id
ORDER BY 1 DESC, 2, 3
