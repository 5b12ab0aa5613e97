-- Who says a verdict: CloudEvents' `source`, kept with its place in the log; empty where none is kept. An older writer's
-- rows would have none, and an import that asks for its own would miss them: so it is fenced.
-- In the order in which a sweep writes them: a running one is waited for, and never waits for us.
LOCK TABLE parked_events, verdicts IN ACCESS EXCLUSIVE MODE;

ALTER TABLE parked_events ADD COLUMN source text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE verdicts ADD COLUMN source text COLLATE "C" NOT NULL DEFAULT '';
