-- Whose name, count or last solve is not what the log says, and who is missing.
CREATE UNLOGGED TABLE solve_replay_user_drift WITH (autovacuum_enabled = off) AS
SELECT
    known.user_id,
    coalesce(names.username, users.username) AS username,
    users.problems_solved AS old_count,
    coalesce(counts.problems_solved, 0) AS new_count,
    users.last_solved_at AS old_last_solved_at,
    counts.last_solved_at AS new_last_solved_at,
    coalesce(users.problems_solved, 0) <> coalesce(counts.problems_solved, 0)
        OR users.last_solved_at IS DISTINCT FROM counts.last_solved_at AS updated,
    users.user_id IS NULL AS missing
FROM solve_replay_known AS known
LEFT JOIN users USING (user_id)
LEFT JOIN solve_replay_names AS names USING (user_id)
LEFT JOIN solve_replay_counts AS counts USING (user_id)
WHERE users.user_id IS NULL
    OR (
        names.user_id IS NOT NULL
        AND (users.username, users.registered_at, users.origin) IS DISTINCT FROM (names.username, names.registered_at, 'log')
    )
    OR (
        (users.problems_solved, users.last_solved_at)
            IS DISTINCT FROM (coalesce(counts.problems_solved, 0), counts.last_solved_at)
        AND NOT EXISTS (SELECT FROM parked_events WHERE parked_events.user_id = users.user_id)
    )
