-- name: newer_standings
-- Users that have a newer version than the known one.
SELECT users.user_id, users.problems_solved, users.last_solved_at, users.version
FROM unnest($1::text[], $2::bigint[]) AS known (user_id, version)
JOIN users USING (user_id)
WHERE users.version > known.version
