-- Keeps the records that cannot be applied and were not kept.
INSERT INTO dead_letters (
    topic, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, reason, detail
)
SELECT $1, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, reason, detail
FROM solve_replay_rejected
ORDER BY partition, "offset"
ON CONFLICT (topic, partition, "offset") DO NOTHING
