-- Before a cold rebuild: dead letters that the log does not have. A discarded one keeps who and why.
DELETE FROM dead_letters
WHERE topic = $1
    AND discarded_at IS NULL
    AND NOT EXISTS (
        SELECT
        FROM solve_replay_rejected AS said
        WHERE (said.partition, said."offset") = (dead_letters.partition, dead_letters."offset")
    )
