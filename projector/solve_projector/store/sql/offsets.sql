-- name: add_partitions
-- Adds rows at offset 0 for new partitions.
INSERT INTO partition_offsets (topic, partition)
SELECT $1, partition
FROM unnest($2::integer[]) AS added (partition)
ORDER BY partition
ON CONFLICT (topic, partition) DO NOTHING

-- name: read_offsets
-- How far each partition has been applied, with the fingerprint of the log.
SELECT partition, next_offset, first_offset, first_timestamp_ms, last_offset, last_timestamp_ms
FROM partition_offsets
WHERE topic = $1
ORDER BY partition

-- name: lock_offsets
-- Locks the offset rows of a batch's partitions, by partition, so that writers queue instead of deadlocking (I11).
-- The mark says whether this transaction's session is the one that was given its limits (session.py).
SELECT partition, next_offset, current_setting('solve.session', true) AS mark
FROM partition_offsets
WHERE topic = $1 AND partition = ANY ($2::integer[])
ORDER BY partition
FOR UPDATE

-- name: advance_offsets
-- Moves offsets in the transaction of what was applied (I2); the rows are locked and compared already.
UPDATE partition_offsets AS reached SET
    next_offset = moved.next_offset,
    first_offset = coalesce(reached.first_offset, moved.first_offset),
    first_timestamp_ms = coalesce(reached.first_timestamp_ms, moved.first_timestamp_ms),
    last_offset = coalesce(moved.last_offset, reached.last_offset),
    last_timestamp_ms = coalesce(moved.last_timestamp_ms, reached.last_timestamp_ms),
    updated_at = now()
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) AS moved (
    partition, next_offset, first_offset, first_timestamp_ms, last_offset, last_timestamp_ms
)
WHERE reached.topic = $1 AND reached.partition = moved.partition
