-- name: outbox_ends
-- The oldest and the newest change that no offset stands for and that the board may not have yet.
SELECT min(outbox_id), max(outbox_id)
FROM leaderboard_outbox
JOIN users USING (user_id)
