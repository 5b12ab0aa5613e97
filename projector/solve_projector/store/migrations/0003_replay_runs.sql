-- What each replay left, one small row a run: monitors see from it when counts were last proved, and what still drifts
-- (after an audit all that it found, after a repair the users whom PostgreSQL refused).
CREATE TABLE replay_runs (
    replay_run_id bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    dry_run boolean NOT NULL,
    drift boolean NOT NULL,
    total_users bigint NOT NULL,
    drifted_users bigint NOT NULL,
    records_read bigint NOT NULL,
    CONSTRAINT replay_runs_pkey PRIMARY KEY (replay_run_id)
);
