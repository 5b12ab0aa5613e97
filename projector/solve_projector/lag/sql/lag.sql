-- name: backlog
-- What needs an operator: open dead letters by reason, parked events, and changes that the board does not have.
SELECT
    (
        SELECT coalesce(jsonb_object_agg(reason, letters), '{}')
        FROM (
            SELECT reason, count(*) AS letters
            FROM dead_letters
            WHERE topic = $1 AND discarded_at IS NULL
            GROUP BY reason
        ) AS by_reason
    ) AS dead_letters,
    (SELECT count(DISTINCT user_id) FROM parked_events WHERE acknowledged_at IS NULL) AS parked_users,
    (SELECT count(*) FROM parked_events WHERE acknowledged_at IS NULL) AS parked_events,
    (SELECT count(*) FROM leaderboard_outbox) AS outbox_rows

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
