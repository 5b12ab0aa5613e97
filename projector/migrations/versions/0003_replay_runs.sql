-- What each replay found, one small row a run: monitors see from it when counts were last proved, and whether they drifted.
CREATE TABLE replay_runs (
    replay_run_id bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    dry_run boolean NOT NULL,
    drift boolean NOT NULL,
    total_users bigint NOT NULL,
    users_updated bigint NOT NULL,
    records_read bigint NOT NULL,
    CONSTRAINT replay_runs_pkey PRIMARY KEY (replay_run_id)
);
