-- The judge's own count of a submission's verdicts. It comes before any clock, so a writer that does not compare it keeps
-- the wrong verdict; older ones are fenced.
ALTER TABLE parked_events ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE verdicts ADD COLUMN revision bigint NOT NULL DEFAULT 0;
