-- Additive: what waits for an operator is counted by an index, up to a bound, however much was settled before.
-- Created in the order in which a batch writes the tables: a running batch is waited for, and never waits for us.
CREATE INDEX parked_events_open_idx ON parked_events (user_id) WHERE acknowledged_at IS NULL;
CREATE INDEX dead_letters_open_idx ON dead_letters (reason, topic, dead_letter_id) WHERE discarded_at IS NULL;
