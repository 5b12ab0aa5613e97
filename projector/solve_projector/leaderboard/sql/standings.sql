-- name: all_standings
-- What the leaderboard must show, of everybody who ever solved a problem.
SELECT {solve_projector.store.standing.columns}
FROM users
WHERE version > 0

-- name: standings_of
-- What the leaderboard must show, of some users.
SELECT {solve_projector.store.standing.columns}
FROM users
WHERE user_id = ANY ($1::text[])

-- name: ranked_ids
-- Users who belong on the leaderboard, by id.
SELECT user_id
FROM users
WHERE user_id > $1 AND problems_solved > 0 AND {solve_projector.store.listing.is_shown}
ORDER BY user_id
LIMIT $2

-- name: read_outbox
-- Users changed without an offset, with what the leaderboard must show of them now, in the epoch of this snapshot.
SELECT
    leaderboard_epoch.epoch, leaderboard_outbox.outbox_id,
    {solve_projector.store.standing.columns}
FROM leaderboard_outbox
JOIN users USING (user_id)
CROSS JOIN leaderboard_epoch
ORDER BY leaderboard_outbox.outbox_id
LIMIT $1
