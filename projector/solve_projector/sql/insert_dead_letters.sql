-- Keeps records that cannot be applied, whole, with the reason (I4).
INSERT INTO dead_letters (
    topic, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, reason, detail
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (topic, partition, "offset") DO NOTHING
