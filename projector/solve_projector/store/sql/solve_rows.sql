-- Parts of the statements that write `solves`: of each problem of a user the first standing solve, of those of one time
-- the smaller submission.

-- name: columns
user_id, problem_id, solved_at, submission_id, language, contest_id

-- name: replace
ON CONFLICT (user_id, problem_id) DO UPDATE SET
    (solved_at, submission_id, language, contest_id) = (
        excluded.solved_at, excluded.submission_id, excluded.language, excluded.contest_id
    )
