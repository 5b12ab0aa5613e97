-- The transactional outbox of solve-counts (PostgreSQL 14 or later). Applying this again changes nothing.
-- A judge inserts a row in the transaction that stores the verdict; `solve-producer relay` publishes it.
CREATE TABLE IF NOT EXISTS solve_outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    aggregatetype varchar(255) NOT NULL DEFAULT 'judge-events',
    aggregateid varchar(255) NOT NULL,
    type varchar(255) NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'published', 'refused')),
    state_at timestamptz,
    reason text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX IF NOT EXISTS solve_outbox_waiting ON solve_outbox (seq) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS solve_outbox_refused ON solve_outbox (seq) WHERE state = 'refused';

COMMENT ON TABLE solve_outbox IS 'Events of solve-counts on their way to Kafka; a published row is deleted';
COMMENT ON COLUMN solve_outbox.seq IS 'The order of publishing';
COMMENT ON COLUMN solve_outbox.id IS 'For the outbox event router of Debezium; the relay needs no id';
COMMENT ON COLUMN solve_outbox.aggregatetype IS 'For Debezium, which makes a topic of it; the relay has SOLVE_TOPIC';
COMMENT ON COLUMN solve_outbox.aggregateid IS 'The user_id, or the problem_id of a fact about a problem; the key in Kafka';
COMMENT ON COLUMN solve_outbox.type IS 'The type of the event, such as submission.solved.v1';
COMMENT ON COLUMN solve_outbox.payload IS 'The fields of the event';
COMMENT ON COLUMN solve_outbox.state IS 'waiting; refused: no event, see the reason; published: kept by relay --keep';
COMMENT ON COLUMN solve_outbox.state_at IS 'When the relay set the state';
COMMENT ON COLUMN solve_outbox.reason IS 'Why a row was refused. Correct it, and set its state to waiting';

-- Wakes the relay. Without it the relay polls; commits that notify wait for each other for a moment.
CREATE OR REPLACE FUNCTION solve_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('solve_outbox', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER solve_outbox_notify AFTER INSERT ON solve_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION solve_outbox_notify();
