-- Users whose change no offset stands for, with what the board must show of them now.
SELECT leaderboard_outbox.outbox_id, users.user_id, users.problems_solved, users.last_solved_at, users.version
FROM leaderboard_outbox
JOIN users USING (user_id)
ORDER BY leaderboard_outbox.outbox_id
LIMIT $1
