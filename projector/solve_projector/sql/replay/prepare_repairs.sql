-- Who is to be repaired, and what the log says of them; kept up to date with the log's tail while repairs go on.
CREATE UNLOGGED TABLE solve_replay_repairs AS
SELECT user_id FROM solve_replay_user_drift UNION SELECT user_id FROM solve_replay_row_drift;
ALTER TABLE solve_replay_repairs ADD PRIMARY KEY (user_id);

CREATE UNLOGGED TABLE solve_replay_fix AS
SELECT standing.* FROM solve_replay_standing AS standing JOIN solve_replay_repairs USING (user_id);
ALTER TABLE solve_replay_fix ADD PRIMARY KEY (user_id, problem_id, submission_id);
ALTER TABLE solve_replay_names ADD PRIMARY KEY (user_id);

ANALYZE solve_replay_repairs, solve_replay_fix, solve_replay_names;
