-- What the log says, as it was read: unlogged, since a replay that is interrupted begins anew.
CREATE UNLOGGED TABLE solve_replay_verdicts (LIKE verdicts) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE solve_replay_registrations (
    user_id text COLLATE "C" NOT NULL,
    username text NOT NULL,
    registered_at timestamptz NOT NULL
) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE solve_replay_rejected (
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    broker_timestamp_ms bigint NOT NULL,
    key bytea,
    value bytea,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL
) WITH (autovacuum_enabled = off);
