-- name: read_epoch
-- The epoch that changes are written to.
SELECT epoch FROM leaderboard_epoch

-- name: start_epoch
-- Compare-and-set: starts an epoch above $2 if none was started since $1 was read; else returns no row.
UPDATE leaderboard_epoch SET epoch = greatest(epoch, $2) + 1
WHERE epoch = $1
RETURNING epoch

-- name: written
-- What one snapshot has written for the leaderboard; with $2 also how many users belong on it (an index scan).
SELECT
    leaderboard_epoch.epoch,
    ARRAY(SELECT partition FROM partition_offsets WHERE topic = $1 ORDER BY partition) AS partitions,
    ARRAY(SELECT next_offset FROM partition_offsets WHERE topic = $1 ORDER BY partition) AS offsets,
    EXISTS (SELECT FROM leaderboard_outbox JOIN users USING (user_id)) AS in_outbox,
    CASE WHEN $2 THEN (
        SELECT count(*) FROM users WHERE problems_solved > 0 AND {solve_projector.store.listing.is_shown}
    ) END AS ranked
FROM leaderboard_epoch
