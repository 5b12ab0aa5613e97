-- name: insert_dead_letters
-- Stores records that cannot be applied, whole, with the reason (I4).
INSERT INTO dead_letters ({solve_projector.store.dead_letter_rows.columns})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (topic, partition, "offset") DO NOTHING

-- name: lock_dead_letters
-- Locks dead letters by id: after users and parked events, so that nobody waits for anything while holding them (I11).
SELECT dead_letter_id, discarded_at, discarded_by, discarded_why
FROM dead_letters
WHERE dead_letter_id = ANY ($1::bigint[])
ORDER BY dead_letter_id
FOR UPDATE

-- name: read_dead_letters
-- Dead letters whole, by id.
SELECT
    dead_letter_id, {solve_projector.store.dead_letter_rows.columns},
    created_at, discarded_at, discarded_by, discarded_why
FROM dead_letters
WHERE dead_letter_id = ANY ($1::bigint[])
ORDER BY dead_letter_id

-- name: refresh_dead_letters
-- Updates why dead letters cannot be applied. The caller holds their locks.
UPDATE dead_letters SET
    reason = today.reason,
    detail = today.detail
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS today (dead_letter_id, reason, detail)
WHERE dead_letters.dead_letter_id = today.dead_letter_id
    AND NOT dead_letters.erased
    AND (dead_letters.reason, dead_letters.detail) IS DISTINCT FROM (today.reason, today.detail)

-- name: size_dead_letters
-- Ids and sizes of at most $7 dead letters with ids in ($1, $9], oldest first: their bytes stay in PostgreSQL. A filter
-- that is NULL matches everything; discarded ones only if $6 is true. (The size of the arrays as
-- they are stored would be the compressed one.)
SELECT
    dead_letter_id,
    coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
        + octet_length(array_send(header_names)) + octet_length(array_send(header_values)) AS bytes
FROM dead_letters
WHERE dead_letter_id > $1 AND dead_letter_id <= $9
    AND ($2::bigint[] IS NULL OR dead_letter_id = ANY ($2))
    AND ($3::text IS NULL OR reason = $3)
    AND ($4::integer IS NULL OR partition = $4)
    AND ($5::text IS NULL OR topic = $5)
    AND ($6::boolean OR discarded_at IS NULL)
    AND ($8::text IS NULL OR user_ids @> ARRAY[$8])
ORDER BY dead_letter_id
LIMIT $7

-- name: unread_letters
-- Locks the next dead letters, by id, of which nobody knows yet whom they name: at most $1, and about $2 bytes of them.
SELECT dead_letter_id, key, value
FROM dead_letters
WHERE dead_letter_id = ANY (ARRAY(
    SELECT dead_letter_id
    FROM (
        SELECT dead_letter_id, bytes, sum(bytes) OVER (ORDER BY dead_letter_id) AS reached
        FROM (
            SELECT dead_letter_id, coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) AS bytes
            FROM dead_letters
            WHERE user_ids IS NULL
            ORDER BY dead_letter_id
            LIMIT $1
        ) AS next
    ) AS sized
    WHERE reached - bytes <= $2
))
    AND user_ids IS NULL
ORDER BY dead_letter_id
FOR UPDATE

-- name: name_users
UPDATE dead_letters SET user_ids = $2::text[] WHERE dead_letter_id = $1

-- name: lock_letters_of_erased
-- Locks at most $2 dead letters of erased users ($1), by id: after everything else (I11).
SELECT dead_letter_id
FROM dead_letters
WHERE dead_letter_id = ANY (ARRAY(
    {solve_projector.store.erased_letters.ids}
    LIMIT $2
))
ORDER BY dead_letter_id
FOR UPDATE

-- name: erase_letters
-- Blanks and discards dead letters; place, reason and ids stay. The caller holds their locks.
UPDATE dead_letters SET
    key = NULL,
    value = NULL,
    header_names = '{}',
    header_values = '{}',
    detail = 'blanked, since its user was erased',
    erased = true,
    discarded_at = coalesce(discarded_at, now()),
    discarded_by = coalesce(discarded_by, 'solve-projector'),
    discarded_why = coalesce(discarded_why, 'its user was erased')
WHERE dead_letter_id = ANY ($1::bigint[])

-- name: still_open
-- Which of these dead letters still exist; discarded ones only if $2 is true.
SELECT dead_letter_id
FROM dead_letters
WHERE dead_letter_id = ANY ($1::bigint[]) AND ($2::boolean OR discarded_at IS NULL)

-- name: open_dead_letters
-- Open dead letters of topic $1 (NULL: of all) by reason, counted up to $2 each, and the oldest: one step from reason to
-- reason.
WITH RECURSIVE reasons AS (
    (SELECT reason, topic FROM dead_letters WHERE discarded_at IS NULL ORDER BY reason, topic LIMIT 1)
    UNION ALL
    SELECT next.reason, next.topic
    FROM reasons
    CROSS JOIN LATERAL (
        SELECT reason, topic
        FROM dead_letters
        WHERE discarded_at IS NULL AND (reason, topic) > (reasons.reason, reasons.topic)
        ORDER BY reason, topic
        LIMIT 1
    ) AS next
)
SELECT reason, sum(letters)::integer AS number, min(oldest) AS oldest
FROM reasons
CROSS JOIN LATERAL (
    SELECT count(*) AS letters
    FROM (
        SELECT FROM dead_letters
        WHERE reason = reasons.reason AND topic = reasons.topic AND discarded_at IS NULL
        ORDER BY dead_letter_id
        LIMIT $2
    ) AS first
) AS counted
CROSS JOIN LATERAL (
    SELECT created_at AS oldest
    FROM dead_letters
    WHERE reason = reasons.reason AND topic = reasons.topic AND discarded_at IS NULL
    ORDER BY dead_letter_id
    LIMIT 1
) AS first
WHERE $1::text IS NULL OR topic = $1
GROUP BY reason
ORDER BY number DESC, reason

-- name: all_open_dead_letters
-- To be estimated: those of one reason ($1) and topic ($2).
SELECT FROM dead_letters WHERE discarded_at IS NULL AND reason = $1 AND topic = $2
