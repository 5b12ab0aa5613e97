-- name: columns
-- A part of statements: a record and why it is a dead letter, in the order of `DeadLetter.columns` in `domain/batch.py`.
topic, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, reason, detail,
user_ids
