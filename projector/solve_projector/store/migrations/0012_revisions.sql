-- The judge's own count of a submission's verdicts. It comes before any clock, so a writer that does not compare it keeps
-- the wrong verdict; older ones are fenced.
-- In the order in which a sweep writes them: a running one is waited for, and never waits for us.
LOCK TABLE users, parked_events, verdicts IN ACCESS EXCLUSIVE MODE;

ALTER TABLE parked_events ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE verdicts ADD COLUMN revision bigint NOT NULL DEFAULT 0;
