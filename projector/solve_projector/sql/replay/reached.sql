-- The latest place in the log that a row names, by partition: PostgreSQL has applied it, whatever its offset says.
SELECT source_partition, max(source_offset) AS last_offset
FROM (
    SELECT source_partition, source_offset FROM verdicts
    UNION ALL
    SELECT source_partition, source_offset FROM parked_events
) AS rows
GROUP BY source_partition
