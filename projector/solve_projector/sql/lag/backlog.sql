-- What was set aside and waits for somebody: open dead letters by reason, and what else there is a single number of.
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
