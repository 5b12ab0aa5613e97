-- Parts of statements: what the log says of users, by `names` and the removals.

-- name: registered
-- What the log says, or else what the site wrote into `users`.
SELECT
    {solve_projector.store.named.username} AS username,
    coalesce(NOT names.unlisted, users.listed) AS listed,
    coalesce(names.registered_at, '-infinity') AS registered_at

-- name: take_names
-- Gives users their latest name and listing; up to a filter.
UPDATE users SET
    username = {solve_projector.store.named.username},
    registered_at = names.registered_at,
    listed = NOT names.unlisted,
    nameless = names.username = '',
    origin = 'log'
FROM solve_replay_names AS names
WHERE users.user_id = names.user_id
    AND (users.username, users.registered_at, users.listed, users.nameless, users.origin)
        IS DISTINCT FROM (
            {solve_projector.store.named.username},
            names.registered_at, NOT names.unlisted, names.username = '', 'log'
        )

-- name: write_removals
-- Makes removals those `said`, and takes the names that go with them.
written AS (
    INSERT INTO user_removals ({solve_projector.store.removal_rows.columns})
    SELECT {solve_projector.store.removal_rows.columns} FROM said ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET
        removed_at = excluded.removed_at, reason = excluded.reason, erased_at = excluded.erased_at
    RETURNING new.user_id, {solve_projector.store.named.erases}
)
{solve_projector.store.named.take_erased}
