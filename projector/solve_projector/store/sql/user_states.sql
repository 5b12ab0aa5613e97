-- name: states
-- A part of statements: what follows from the facts of `users`. A registration as late as a removal loses to it, and no
-- registration is older than any. Of an erased user name and listing are the defaults.
SELECT
    users.user_id,
    CASE WHEN removal.erased_at >= registered.at THEN '' ELSE users.username END AS username,
    CASE WHEN removal.erased_at >= registered.at THEN true ELSE users.listed END AS listed,
    coalesce(removal.removed_at >= registered.at, false) AS removed
FROM users
LEFT JOIN user_removals AS removal USING (user_id)
CROSS JOIN LATERAL (
    -- what a site says of the time is no registration
    SELECT coalesce(CASE WHEN users.origin = 'log' THEN users.registered_at END, '-infinity') AS at
) AS registered
