-- Removes the dead letters whose record is counted by now; not those of users whom PostgreSQL still refuses ($4).
DELETE FROM dead_letters
USING unnest($2::integer[], $3::bigint[]) AS applied (partition, "offset")
WHERE dead_letters.topic = $1
    AND dead_letters.partition = applied.partition
    AND dead_letters."offset" = applied."offset"
    AND NOT EXISTS (
        SELECT
        FROM solve_replay_verdicts AS said
        WHERE said.source_partition = applied.partition
            AND said.source_offset = applied."offset"
            AND said.user_id = ANY ($4::text[])
    )
