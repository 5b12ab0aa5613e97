-- In one order, so that two who end the same sessions wait for each other instead of deadlocking.
DELETE FROM admin_sessions
WHERE session_hash IN (SELECT session_hash FROM admin_sessions WHERE admin_id = $1 ORDER BY session_hash FOR UPDATE)
RETURNING session_hash
