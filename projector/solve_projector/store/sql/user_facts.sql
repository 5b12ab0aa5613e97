-- name: lock_removals
-- Locks the removals of users, by id: after the users, as everywhere (I11). Returns whose there are.
SELECT user_id
FROM user_removals
WHERE user_id = ANY ($1::text[])
ORDER BY user_id
FOR UPDATE

-- name: write_removals
-- Keeps removals, and takes the names that go with them. The caller holds the users' row locks.
WITH written AS (
    INSERT INTO user_removals AS standing ({solve_projector.store.removal_rows.columns})
    SELECT *
    FROM {solve_projector.store.removal_rows.arrays} AS removal ({solve_projector.store.removal_rows.columns})
    ORDER BY user_id
    {solve_projector.store.removal_rows.by_the_rule}
    RETURNING new.user_id, {solve_projector.store.named.erases}
)
{solve_projector.store.named.take_erased}

-- name: apply_removals
-- Makes locked users what follows from their facts; returns what the leaderboard must show of those it changed.
UPDATE users SET
    {solve_projector.store.user_states.take_over}
FROM (
    {solve_projector.store.user_states.states}
    WHERE users.user_id = ANY ($1::text[])
) AS state
WHERE users.user_id = state.user_id
    AND {solve_projector.store.user_states.is_unlike}
RETURNING {solve_projector.store.standing.columns}

-- name: next_removals
-- The next $2 removals after that of the user $1, whether a user is not what follows from it (the site wrote later), and
-- whether a dead letter may name who was erased.
SELECT
    looked.user_id,
    unlike.user_id IS NOT NULL AS is_unlike,
    looked.erased_at IS NOT NULL AND EXISTS (
        SELECT FROM dead_letters WHERE user_ids @> ARRAY[looked.user_id] AND NOT erased
    ) AS is_named
FROM (SELECT user_id, erased_at FROM user_removals WHERE user_id > $1 ORDER BY user_id LIMIT $2) AS looked
LEFT JOIN LATERAL (
    SELECT users.user_id
    FROM (
        {solve_projector.store.user_states.states}
        WHERE users.user_id = looked.user_id
    ) AS state
    JOIN users USING (user_id)
    WHERE {solve_projector.store.user_states.is_unlike}
    OFFSET 0
) AS unlike ON true
ORDER BY looked.user_id
