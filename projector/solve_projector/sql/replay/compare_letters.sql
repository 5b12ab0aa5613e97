-- Dead letters that are missing, and those whose record applies by now. $1 is the topic, $2 and $3 the offsets of the
-- snapshot by partition.
SELECT
    coalesce(said.partition, live.partition) AS partition,
    coalesce(said."offset", live."offset") AS "offset",
    CASE WHEN live.partition IS NULL THEN 'missing' ELSE 'extra' END AS kind
FROM solve_replay_rejected AS said
FULL JOIN (
    SELECT dead_letters.partition, dead_letters."offset", dead_letters.discarded_at
    FROM dead_letters
    JOIN unnest($2::integer[], $3::bigint[]) AS reached (partition, next_offset) USING (partition)
    WHERE dead_letters.topic = $1 AND dead_letters."offset" < reached.next_offset
) AS live USING (partition, "offset")
-- one that was discarded keeps who and why, also where its record counts by now
WHERE live.partition IS NULL OR (said.partition IS NULL AND live.discarded_at IS NULL)
