-- name: problem_record
-- The fact of one problem, and whether its solvers are being counted anew: a row also where there is no fact.
SELECT
    asked.problem_id, coalesce(facts.withdrawn, false) AS withdrawn, facts.decided_at, nullif(facts.reason, '') AS reason,
    EXISTS (SELECT FROM problem_recounts WHERE problem_id = $1) AS recounting,
    clock_timestamp() AS as_of
FROM (SELECT $1::text AS problem_id) AS asked
LEFT JOIN problem_facts AS facts USING (problem_id)

-- name: count_solvers
-- How many have solved a problem, withdrawn or not. Reads all of `solves`: an index by problem costs more on every solve.
SELECT count(*) FROM solves WHERE problem_id = $1

-- name: solvers
-- Of these rows the planner says how many it expects.
SELECT FROM solves WHERE problem_id = $1
