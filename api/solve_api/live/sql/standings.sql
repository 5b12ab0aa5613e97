-- name: newer_standings
-- Users that have a newer version than the known one; of removed ones nothing is said but that.
SELECT
    users.user_id, CASE WHEN users.removed THEN 0 ELSE users.problems_solved END AS problems_solved,
    CASE WHEN NOT users.removed THEN users.last_solved_at END AS last_solved_at, users.version
FROM unnest($1::text[], $2::bigint[]) AS known (user_id, version)
JOIN users USING (user_id)
WHERE users.version > known.version
