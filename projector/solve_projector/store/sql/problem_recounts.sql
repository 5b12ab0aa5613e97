-- name: next_recounts
-- The next problems to recount together, $1 at most: those that stand where the oldest one stands.
SELECT queued.problem_id, queued.ticket, queued.asked_at, pg_snapshot_xmax(pg_current_snapshot())::text AS horizon
FROM problem_recounts AS queued
JOIN (
    SELECT after_user_id, after_problem_id FROM problem_recounts ORDER BY asked_at, problem_id LIMIT 1
) AS oldest USING (after_user_id, after_problem_id)
ORDER BY queued.problem_id
LIMIT $1

-- name: oldest_transaction
-- The oldest transaction's id, or the next one's where none runs; and the oldest that this role may see.
SELECT
    pg_snapshot_xmin(pg_current_snapshot())::text AS running,
    (
        SELECT format('PostgreSQL process %s (%s) since %s', pid, application_name, to_char(
            xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
        ))
        FROM pg_stat_activity
        WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        ORDER BY age(backend_xid) DESC
        LIMIT 1
    ) AS oldest

-- name: lock_recounts
-- Locks these problems of the queue, by id: a statement of its own, before the users (I11).
SELECT problem_id, ticket, after_user_id, after_problem_id
FROM problem_recounts
WHERE problem_id = ANY ($1::text[])
ORDER BY problem_id
FOR UPDATE

-- name: next_solvers
-- Who solved the problems $3 among the next $4 solves after ($1, $2), $5 solves at most; and where that ends.
WITH looked AS MATERIALIZED (
    SELECT user_id, problem_id  -- from the index alone
    FROM solves
    WHERE (user_id, problem_id) > ($1, $2)
    ORDER BY user_id, problem_id
    LIMIT $4
),
found AS MATERIALIZED (
    SELECT user_id, problem_id FROM looked WHERE problem_id = ANY ($3::text[]) ORDER BY user_id, problem_id LIMIT $5
)
SELECT
    ARRAY(SELECT DISTINCT user_id FROM found ORDER BY user_id) AS user_ids,
    (SELECT count(*) FROM found) = $5 OR (SELECT count(*) FROM looked) = $4 AS goes_on,
    CASE WHEN (SELECT count(*) FROM found) = $5
        THEN (SELECT array[user_id, problem_id] FROM found ORDER BY user_id DESC, problem_id DESC LIMIT 1)
        ELSE (SELECT array[user_id, problem_id] FROM looked ORDER BY user_id DESC, problem_id DESC LIMIT 1)
    END AS reached

-- name: move_recounts
UPDATE problem_recounts SET after_user_id = $2, after_problem_id = $3 WHERE problem_id = ANY ($1::text[])

-- name: end_recounts
DELETE FROM problem_recounts WHERE problem_id = ANY ($1::text[])
