-- name: outbox_ends
-- The oldest and the newest change that no offset covers and that the board may lack.
SELECT min(outbox_id), max(outbox_id)
FROM leaderboard_outbox
JOIN users USING (user_id)
