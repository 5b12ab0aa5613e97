-- name: outbox_ends
-- The oldest and the newest change that no offset covers and that the board may lack.
SELECT
    (
        SELECT outbox_id
        FROM leaderboard_outbox
        WHERE EXISTS (SELECT FROM users WHERE users.user_id = leaderboard_outbox.user_id)
        ORDER BY outbox_id
        LIMIT 1
    ) AS oldest,
    (
        SELECT outbox_id
        FROM leaderboard_outbox
        WHERE EXISTS (SELECT FROM users WHERE users.user_id = leaderboard_outbox.user_id)
        ORDER BY outbox_id DESC
        LIMIT 1
    ) AS newest

-- name: is_anybody_ranked
-- The first question is cheap where nobody has solved anything, the second where somebody has.
SELECT
    EXISTS (SELECT FROM solves)
    AND EXISTS (SELECT FROM users WHERE problems_solved > 0 AND {solve_projector.store.listing.is_shown})

-- name: count_ranked
SELECT count(*)
FROM users
WHERE problems_solved > 0 AND {solve_projector.store.listing.is_shown}
