-- Folds registrations of the log's tail into the names of the users under repair.
INSERT INTO solve_replay_names AS standing (user_id, username, registered_at)
SELECT tail.*
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS tail (user_id, username, registered_at)
JOIN solve_replay_repairs USING (user_id)
ON CONFLICT (user_id) DO UPDATE SET username = excluded.username, registered_at = excluded.registered_at
WHERE (excluded.registered_at, excluded.username COLLATE "C") > (standing.registered_at, standing.username)
