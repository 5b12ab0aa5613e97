-- One row for each problem that a user has solved: when first, and by which submission. Every writer keeps it with the
-- verdicts, so older ones are fenced.
CREATE TABLE solves (
    user_id text COLLATE "C" NOT NULL,
    problem_id text COLLATE "C" NOT NULL,
    solved_at timestamptz NOT NULL,
    submission_id text COLLATE "C" NOT NULL,
    language text COLLATE "C" NOT NULL,
    contest_id text COLLATE "C" NOT NULL
);

INSERT INTO solves
SELECT DISTINCT ON (user_id, problem_id) user_id, problem_id, submitted_at, submission_id, language, contest_id
FROM verdicts
WHERE solved
ORDER BY user_id, problem_id, submitted_at, submission_id;

-- All solves of a user lie side by side in it, with what a profile counts; in the table they lie a page each.
ALTER TABLE solves ADD CONSTRAINT solves_pkey PRIMARY KEY (user_id, problem_id) INCLUDE (solved_at, language);
-- For periods, which ask it alone.
CREATE INDEX solves_solved_at_idx ON solves (solved_at) INCLUDE (user_id);

DROP INDEX verdicts_submitted_at_idx;

CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON solves
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();
