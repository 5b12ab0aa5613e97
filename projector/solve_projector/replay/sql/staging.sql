-- name: create_staging
-- Tables for what was read; unlogged, since an interrupted replay starts again.
CREATE UNLOGGED TABLE solve_replay_verdicts (LIKE verdicts) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE solve_replay_registrations (
    user_id text COLLATE "C" NOT NULL,
    username text NOT NULL,
    registered_at timestamptz NOT NULL,
    unlisted boolean NOT NULL
) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE solve_replay_removals (LIKE user_removals) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE solve_replay_problem_facts (LIKE problem_facts) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE solve_replay_rejected (
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    broker_timestamp_ms bigint NOT NULL,
    key bytea,
    value bytea,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    user_ids text[] NOT NULL
) WITH (autovacuum_enabled = off);

-- name: fold
-- Folds what was read by the rule: which verdict of a submission stands, which name a user has, which problems count,
-- who is known, and when each first solved what. `domain/rule.py` says the same; tests compare the two.
CREATE UNLOGGED TABLE solve_replay_standing WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (user_id, problem_id, submission_id) *
FROM solve_replay_verdicts
ORDER BY
    user_id, problem_id, submission_id,
    revision DESC, judged_at DESC, solved, submitted_at, language, contest_id, reason, source_partition, source_offset;

CREATE UNLOGGED TABLE solve_replay_names WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (user_id) *
FROM solve_replay_registrations
ORDER BY user_id, registered_at DESC, unlisted DESC, username COLLATE "C" DESC;

CREATE UNLOGGED TABLE solve_replay_removed WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (user_id) user_id, removed_at, reason, max(erased_at) OVER (PARTITION BY user_id) AS erased_at
FROM solve_replay_removals
ORDER BY user_id, removed_at DESC, reason;

CREATE UNLOGGED TABLE solve_replay_problems WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (problem_id) *
FROM solve_replay_problem_facts
ORDER BY problem_id, decided_at DESC, withdrawn DESC, reason;

-- a user of the site is known without a registration
CREATE UNLOGGED TABLE solve_replay_known WITH (autovacuum_enabled = off) AS
SELECT user_id FROM users UNION SELECT user_id FROM solve_replay_names;

ANALYZE solve_replay_standing, solve_replay_names, solve_replay_removed, solve_replay_problems, solve_replay_known;

CREATE UNLOGGED TABLE solve_replay_solves WITH (autovacuum_enabled = off) AS
SELECT DISTINCT ON (user_id, problem_id)
    user_id, problem_id, submitted_at AS solved_at, submission_id, language, contest_id
FROM solve_replay_standing
WHERE solved
ORDER BY user_id, problem_id, submitted_at, submission_id;

ANALYZE solve_replay_solves

-- name: count
-- How much that is, without the problems that are withdrawn.
CREATE UNLOGGED TABLE solve_replay_counts WITH (autovacuum_enabled = off) AS
SELECT user_id, count(*)::integer AS problems_solved, max(solved_at) AS last_solved_at
FROM solve_replay_solves AS solves
WHERE {solve_projector.replay.problems.none_of}
GROUP BY user_id;

ANALYZE solve_replay_counts
