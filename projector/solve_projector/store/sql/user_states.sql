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

-- name: take_over
-- A part of updates: makes `users` the `state`, with a newer version.
username = state.username,
listed = state.listed,
removed = state.removed,
version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)

-- name: is_unlike
-- A part of conditions: whether `users` is not the `state`.
(users.username, users.listed, users.removed) IS DISTINCT FROM (state.username, state.listed, state.removed)
