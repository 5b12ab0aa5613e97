-- Folds what was read by the rule: which verdict of a submission stands, which name a user has, who is known, and
-- what each has solved. `rule.py` says the same; tests hold the two together.
CREATE UNLOGGED TABLE solve_replay_standing WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (user_id, problem_id, submission_id) *
FROM solve_replay_verdicts
ORDER BY
    user_id, problem_id, submission_id,
    judged_at DESC, solved, submitted_at, language, contest_id, reason, source_partition, source_offset;

CREATE UNLOGGED TABLE solve_replay_names WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (user_id) *
FROM solve_replay_registrations
ORDER BY user_id, registered_at DESC, username COLLATE "C" DESC;

-- no user is ever unknown whom PostgreSQL has, be it from the site
CREATE UNLOGGED TABLE solve_replay_known WITH (autovacuum_enabled = off) AS
SELECT user_id FROM users UNION SELECT user_id FROM solve_replay_names;

ANALYZE solve_replay_standing, solve_replay_names, solve_replay_known;

CREATE UNLOGGED TABLE solve_replay_counts WITH (autovacuum_enabled = off) AS
SELECT user_id, count(*)::integer AS problems_solved, max(first) AS last_solved_at
FROM (
    SELECT user_id, problem_id, min(submitted_at) AS first
    FROM solve_replay_standing
    WHERE solved
    GROUP BY user_id, problem_id
) AS firsts
GROUP BY user_id;

ANALYZE solve_replay_counts;
