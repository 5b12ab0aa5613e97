-- Makes a parked event that PostgreSQL refuses to apply a dead letter, written as its record was (I4).
WITH refused AS (
    DELETE FROM parked_events
    WHERE user_id = $2 AND problem_id = $3 AND submission_id = $4
    RETURNING *
)
INSERT INTO dead_letters (
    topic, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, reason, detail
)
SELECT
    $1, source_partition, source_offset, -1,
    convert_to(user_id, 'UTF8'),
    convert_to(
        jsonb_strip_nulls(jsonb_build_object(
            'submission_id', submission_id, 'user_id', user_id, 'problem_id', problem_id, 'judged_at', judged_at,
            'submitted_at', submitted_at, 'language', nullif(language, ''), 'contest_id', nullif(contest_id, ''),
            'reason', nullif(reason, '')
        ))::text,
        'UTF8'
    ),
    ARRAY['ce_type'],
    ARRAY[convert_to(CASE WHEN solved THEN 'submission.solved.v1' ELSE 'submission.revoked.v1' END, 'UTF8')],
    'refused-by-database', $5
FROM refused
ON CONFLICT (topic, partition, "offset") DO NOTHING
