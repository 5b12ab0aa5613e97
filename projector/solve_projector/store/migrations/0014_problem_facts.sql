-- Which problems count. Every writer counts without withdrawn ones, so older writers are fenced.
CREATE TABLE problem_facts (
    problem_id text COLLATE "C" NOT NULL,
    decided_at timestamptz NOT NULL,
    withdrawn boolean NOT NULL,
    reason text COLLATE "C" NOT NULL,
    CONSTRAINT problem_facts_pkey PRIMARY KEY (problem_id)
);
CREATE INDEX problem_facts_withdrawn_idx ON problem_facts (problem_id) WHERE withdrawn;
CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON problem_facts
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();

-- Problems whose solvers must be counted anew, and the last solve that was looked at, by user and problem. A fact takes
-- another ticket and begins again.
CREATE TABLE problem_recounts (
    problem_id text COLLATE "C" NOT NULL,
    ticket bigint GENERATED ALWAYS AS IDENTITY,
    asked_at timestamptz NOT NULL DEFAULT now(),
    after_user_id text COLLATE "C" NOT NULL DEFAULT '',
    after_problem_id text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT problem_recounts_pkey PRIMARY KEY (problem_id)
);
CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON problem_recounts
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();

-- A board of a period reads problems, too, and still the index alone.
-- Pages go on while it is built.
CREATE INDEX solves_solved_at_problem_idx ON solves (solved_at) INCLUDE (user_id, problem_id);
DROP INDEX solves_solved_at_idx;
ALTER INDEX solves_solved_at_problem_idx RENAME TO solves_solved_at_idx;
