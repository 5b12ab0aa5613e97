-- name: states
-- A part of statements: what follows from the facts of `users`.
SELECT users.user_id, state.*
FROM users
LEFT JOIN user_removals AS removal USING (user_id)
CROSS JOIN LATERAL (
    SELECT users.username, users.listed, {solve_projector.store.user_rule.registered_at} AS registered_at
) AS registered
CROSS JOIN LATERAL ({solve_projector.store.user_rule.state}) AS state

-- name: take_over
-- A part of updates: makes `users` the `state`, with a newer version.
username = state.username,
listed = state.listed,
removed = state.removed,
version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)

-- name: is_unlike
-- A part of conditions: whether `users` is not the `state`.
(users.username, users.listed, users.removed) IS DISTINCT FROM (state.username, state.listed, state.removed)
