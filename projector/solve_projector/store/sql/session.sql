-- name: begin_session
-- Sets what a new session needs, and returns what is in force. Nothing is set where another session left its mark, or
-- where the server process is not the one that greeted us and it is not known yet whether the pooler in between keeps
-- it for us: the settings would be left to other clients. One statement of the simple protocol, inside COPY, because
-- a pooler may give every message to another server process.
WITH before AS MATERIALIZED (
    SELECT pg_backend_pid() AS pid, coalesce(current_setting('solve.session', true), '') AS mark
), done AS MATERIALIZED (
    SELECT array_agg(key) FILTER (WHERE set_config(key, value, false) IS NOT NULL) AS names
    FROM before
    CROSS JOIN json_each_text({settings})
    WHERE mark = '' AND ({trusted} OR pid = {greeted_by})
)
SELECT json_build_object(
    'pid', pid,
    'mark', mark,
    'in_force', (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name = ANY (names))
)
FROM before
CROSS JOIN done

-- name: begin_probe
-- The server ends this session once it is idle for so long.
SELECT pg_backend_pid()
FROM (SELECT set_config('idle_session_timeout', '{idle_ms}', false)) AS done

-- name: server_process
SELECT pg_backend_pid()
