-- A dead letter that somebody gave up stays, with who, when and why; without them it is open.
ALTER TABLE dead_letters
    ADD COLUMN discarded_at timestamptz,
    ADD COLUMN discarded_by text,
    ADD COLUMN discarded_why text,
    ADD CONSTRAINT dead_letters_discarded_check CHECK (num_nulls(discarded_at, discarded_by, discarded_why) IN (0, 3));

-- An acknowledged event is quiet and still applies once its user exists; without a reason, the why is empty.
ALTER TABLE parked_events
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledged_why text,
    ADD CONSTRAINT parked_events_acknowledged_check
        CHECK (num_nulls(acknowledged_at, acknowledged_by, acknowledged_why) IN (0, 3));
