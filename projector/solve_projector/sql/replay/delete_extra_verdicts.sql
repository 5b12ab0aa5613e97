-- Removes verdicts that the log does not know, and those of nobody.
DELETE FROM verdicts
WHERE user_id = ANY ($1::text[])
    AND (
        NOT EXISTS (SELECT FROM users WHERE users.user_id = verdicts.user_id)
        OR NOT EXISTS (
            SELECT
            FROM solve_replay_fix AS said
            WHERE (said.user_id, said.problem_id, said.submission_id)
                = (verdicts.user_id, verdicts.problem_id, verdicts.submission_id)
        )
    )
