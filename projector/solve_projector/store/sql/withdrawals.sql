-- name: none_of
-- A part of conditions: whether the problem of a row of `solves` counts. NOT IN, which is a filter: the planner cannot
-- make a join of it, and then walk all of `solves`.
solves.problem_id NOT IN (SELECT problem_facts.problem_id FROM problem_facts WHERE withdrawn)

-- name: columns
problem_id, decided_at, withdrawn, reason

-- name: by_the_rule
-- The latest fact of a problem; of one time withdrawn, then the smaller reason.
ON CONFLICT (problem_id) DO UPDATE SET
    (decided_at, withdrawn, reason) = (excluded.decided_at, excluded.withdrawn, excluded.reason)
WHERE (excluded.decided_at, excluded.withdrawn) > (standing.decided_at, standing.withdrawn)
    OR (
        (excluded.decided_at, excluded.withdrawn) = (standing.decided_at, standing.withdrawn)
        AND excluded.reason < standing.reason
    )

-- name: ask_for_recounts
-- A part of statements: has the solvers of the `flipped` problems counted anew, from the first one on.
INSERT INTO problem_recounts (problem_id)
SELECT problem_id FROM flipped ORDER BY problem_id
ON CONFLICT (problem_id) DO UPDATE SET
    ticket = DEFAULT, asked_at = DEFAULT, after_user_id = DEFAULT, after_problem_id = DEFAULT
RETURNING problem_id
