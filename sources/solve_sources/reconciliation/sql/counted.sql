-- name: offsets
-- Up to where each partition of topic $1 is applied.
SELECT partition, next_offset FROM partition_offsets WHERE topic = $1

-- name: verdicts_of_source
-- Standing and parked verdicts that came from source $1.
SELECT {solve_projector.store.verdict_rows.columns} FROM verdicts WHERE source = $1
UNION ALL
SELECT {solve_projector.store.verdict_rows.columns} FROM parked_events WHERE source = $1

-- name: verdicts_of_users
-- Standing and parked verdicts of the users from $1 on and before $2.
SELECT {solve_projector.store.verdict_rows.columns} FROM verdicts WHERE user_id >= $1 AND user_id < $2
UNION ALL
SELECT {solve_projector.store.verdict_rows.columns} FROM parked_events WHERE user_id >= $1 AND user_id < $2

-- name: verdicts_of_keys
-- Standing and parked verdicts of the users $1, problems $2 and submissions $3.
SELECT {solve_projector.store.verdict_rows.columns}
FROM verdicts
JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (user_id, problem_id, submission_id)
    USING (user_id, problem_id, submission_id)
UNION ALL
SELECT {solve_projector.store.verdict_rows.columns}
FROM parked_events
JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (user_id, problem_id, submission_id)
    USING (user_id, problem_id, submission_id)

-- name: users_between
-- Users from $1 on and before $2, as the log registered them; a time of the site's is none.
SELECT user_id, username, listed, CASE WHEN origin = 'log' THEN registered_at END AS registered_at
FROM users
WHERE user_id >= $1 AND user_id < $2

-- name: removals_between
-- Removals of the users from $1 on and before $2.
SELECT user_id, removed_at, reason, erased_at FROM user_removals WHERE user_id >= $1 AND user_id < $2

-- name: users_of
-- The users $1, as the log registered them; a time of the site's is none.
SELECT user_id, username, listed, CASE WHEN origin = 'log' THEN registered_at END AS registered_at
FROM users
WHERE user_id = ANY ($1::text[])

-- name: removals_of
-- Removals of the users $1.
SELECT user_id, removed_at, reason, erased_at FROM user_removals WHERE user_id = ANY ($1::text[])

-- name: dead_letters
-- How many open dead letters came as source $1 (its bytes).
SELECT count(*) FROM dead_letters WHERE discarded_at IS NULL AND $1::bytea = ANY (header_values)

-- name: lock_source
-- One reconcile a source at a time, as long as this session lives.
SELECT pg_try_advisory_lock(hashtextextended('solve-counts source ' || $1, 16))
