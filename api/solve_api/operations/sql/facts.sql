-- name: is_applied
-- Whether the record at offset $3 of partition $2 of topic $1 is applied.
SELECT EXISTS (SELECT FROM partition_offsets WHERE topic = $1 AND partition = $2 AND next_offset > $3)
