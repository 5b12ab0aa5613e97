-- In one order, as end_all_sessions.
DELETE FROM admin_sessions
WHERE session_hash IN (
    SELECT session_hash
    FROM admin_sessions
    WHERE admin_id = $1 AND encode(substring(sha256(session_hash) FROM 1 FOR 8), 'hex') = ANY ($2::text[])
    ORDER BY session_hash
    FOR UPDATE
)
RETURNING session_hash
