-- How far each partition has been applied, with the fingerprint of the log.
SELECT partition, next_offset, first_offset, first_timestamp_ms, last_offset, last_timestamp_ms
FROM partition_offsets
WHERE topic = $1
ORDER BY partition
