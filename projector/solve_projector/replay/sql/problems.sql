-- name: none_of
-- A part of conditions: whether the problem of a row of `solves` counts by what was read; as live projection has it.
solves.problem_id NOT IN (SELECT problem_id FROM solve_replay_problems WHERE withdrawn)
