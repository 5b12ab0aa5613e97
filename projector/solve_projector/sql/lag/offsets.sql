-- How far each partition has been applied, and when that last moved (seconds since 1970).
SELECT partition, next_offset, extract(epoch FROM updated_at) AS moved_at_s
FROM partition_offsets
WHERE topic = $1
