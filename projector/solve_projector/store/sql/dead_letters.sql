-- name: insert_dead_letters
-- Stores records that cannot be applied, whole, with the reason (I4).
INSERT INTO dead_letters ({solve_projector.store.dead_letter_rows.columns})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (topic, partition, "offset") DO NOTHING

-- name: lock_dead_letters
-- Locks dead letters by id: after users and parked events, so that nobody waits for anything while holding them (I11).
SELECT dead_letter_id, discarded_at, discarded_by, discarded_why
FROM dead_letters
WHERE dead_letter_id = ANY ($1::bigint[])
ORDER BY dead_letter_id
FOR UPDATE

-- name: read_dead_letters
-- A page of dead letters, oldest first, of ids in ($1, $9]; bounded in records ($7) and, past the first, in
-- bytes ($8). A filter that is NULL matches everything; discarded ones only if $6 is true.
SELECT
    dead_letter_id, {solve_projector.store.dead_letter_rows.columns},
    created_at, discarded_at, discarded_by, discarded_why
FROM (
    SELECT
        *,
        sum(
            coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) + pg_column_size(header_values)
        ) OVER (ORDER BY dead_letter_id) AS bytes_so_far,
        row_number() OVER (ORDER BY dead_letter_id) AS place
    FROM (
        SELECT *
        FROM dead_letters
        WHERE dead_letter_id > $1 AND dead_letter_id <= $9
            AND ($2::bigint[] IS NULL OR dead_letter_id = ANY ($2))
            AND ($3::text IS NULL OR reason = $3)
            AND ($4::integer IS NULL OR partition = $4)
            AND ($5::text IS NULL OR topic = $5)
            AND ($6::boolean OR discarded_at IS NULL)
        ORDER BY dead_letter_id
        LIMIT $7
    ) AS page
) AS sized
WHERE place = 1 OR bytes_so_far <= $8
ORDER BY dead_letter_id

-- name: refresh_dead_letters
-- Updates why dead letters cannot be applied. The caller holds their locks.
UPDATE dead_letters SET
    reason = today.reason,
    detail = today.detail
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS today (dead_letter_id, reason, detail)
WHERE dead_letters.dead_letter_id = today.dead_letter_id
    AND (dead_letters.reason, dead_letters.detail) IS DISTINCT FROM (today.reason, today.detail)
