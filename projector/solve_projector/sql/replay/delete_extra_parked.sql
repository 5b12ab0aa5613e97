-- Removes parked events of users who exist by now (their verdicts were written), and those that the log does not know.
DELETE FROM parked_events
WHERE user_id = ANY ($1::text[])
    AND (
        EXISTS (SELECT FROM users WHERE users.user_id = parked_events.user_id)
        OR NOT EXISTS (
            SELECT
            FROM solve_replay_fix AS said
            WHERE (said.user_id, said.problem_id, said.submission_id)
                = (parked_events.user_id, parked_events.problem_id, parked_events.submission_id)
        )
    )
