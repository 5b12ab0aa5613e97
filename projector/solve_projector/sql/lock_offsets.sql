-- Locks the offset rows of a batch's partitions, by partition, so that writers queue instead of deadlocking (I11).
SELECT partition, next_offset
FROM partition_offsets
WHERE topic = $1 AND partition = ANY ($2::integer[])
ORDER BY partition
FOR UPDATE
