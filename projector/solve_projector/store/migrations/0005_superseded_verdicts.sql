-- Additive: verdicts that were read and do not stand, the first delivery of each. Losing are those that came later in the log than
-- the one that stands although they were judged earlier: a judge's clock is wrong. A redelivery of a verdict that was
-- replaced looks the same, so what was replaced is kept as well, as not losing. No count comes from this table.
CREATE TABLE superseded_verdicts (
    user_id text COLLATE "C" NOT NULL,
    problem_id text COLLATE "C" NOT NULL,
    submission_id text COLLATE "C" NOT NULL,
    judged_at timestamptz NOT NULL,
    solved boolean NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    losing boolean NOT NULL,
    CONSTRAINT superseded_verdicts_pkey PRIMARY KEY (user_id, problem_id, submission_id, judged_at, solved)
);
