-- name: backlog
-- What needs an operator, counted up to $1: parked events and their users, and changes that the board does not have.
WITH RECURSIVE parked (user_id, place) AS (
    SELECT (SELECT user_id FROM parked_events WHERE acknowledged_at IS NULL ORDER BY user_id LIMIT 1), 1
    UNION ALL
    SELECT
        (
            SELECT next.user_id
            FROM parked_events AS next
            WHERE next.user_id > parked.user_id AND acknowledged_at IS NULL
            ORDER BY next.user_id
            LIMIT 1
        ),
        place + 1
    FROM parked
    WHERE parked.user_id IS NOT NULL AND place < $1
)
SELECT
    (SELECT count(user_id) FROM parked) AS parked_users,
    (
        SELECT count(*)
        FROM (SELECT FROM parked_events WHERE acknowledged_at IS NULL ORDER BY user_id LIMIT $1) AS first
    ) AS parked_events,
    (SELECT count(*) FROM (SELECT FROM leaderboard_outbox ORDER BY outbox_id LIMIT $1) AS first) AS outbox_rows

-- name: all_parked_events
-- To be estimated.
SELECT FROM parked_events WHERE acknowledged_at IS NULL

-- name: all_parked_users
-- To be estimated.
SELECT FROM parked_events WHERE acknowledged_at IS NULL GROUP BY user_id

-- name: all_outbox_rows
-- To be estimated.
SELECT FROM leaderboard_outbox

-- name: recount_age
-- Seconds since the oldest problem was queued whose solvers are not all counted anew; 0 where there is none.
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(asked_at)), 0)::float8 FROM problem_recounts

-- name: last_replay
-- The newest replay of this topic.
SELECT extract(epoch FROM finished_at)::float8 AS finished_at_s, drift, drifted_users
FROM replay_runs
WHERE topic = $1
ORDER BY replay_run_id DESC
LIMIT 1

-- name: offsets
-- The applied offset of each partition, and when it last moved (seconds since 1970).
SELECT partition, next_offset, extract(epoch FROM updated_at) AS moved_at_s
FROM partition_offsets
WHERE topic = $1
