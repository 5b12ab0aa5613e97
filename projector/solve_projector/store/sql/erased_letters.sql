-- name: ids
-- A part of statements: dead letters that name a user of $1 who is erased. One that the broker had before the last erasure
-- is erased also if the user has come back. (Without the broker's time it was a parked event, which holds no name.)
SELECT letter.dead_letter_id
FROM user_removals AS removal
LEFT JOIN users USING (user_id)
JOIN dead_letters AS letter ON letter.user_ids @> ARRAY[removal.user_id] AND NOT letter.erased
WHERE removal.user_id = ANY ($1::text[])
    AND (
        removal.erased_at >= {solve_projector.store.user_rule.registered_at}
        OR letter.broker_timestamp_ms BETWEEN 0 AND extract(epoch FROM removal.erased_at) * 1000
    )
