-- name: columns
-- What the leaderboard must show of a user: nothing of one who is on no board.
users.user_id, CASE WHEN {solve_projector.store.listing.is_shown} THEN users.problems_solved ELSE 0 END AS problems_solved,
CASE WHEN {solve_projector.store.listing.is_shown} THEN users.last_solved_at END AS last_solved_at, users.version
