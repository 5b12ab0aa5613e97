-- Gives new partitions their row.
INSERT INTO partition_offsets (topic, partition)
SELECT $1, partition
FROM unnest($2::integer[]) AS fresh (partition)
ORDER BY partition
ON CONFLICT (topic, partition) DO NOTHING
