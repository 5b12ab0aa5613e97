-- Boards of a day, week or month read the latest solves. A BRIN index costs the projector next to nothing, where a
-- B-tree would cost it an index write a verdict; rows lie in the table about in the order in which they were judged.
CREATE INDEX verdicts_submitted_at_idx ON verdicts USING brin (submitted_at) WITH (pages_per_range = 16, autosummarize = on);

-- People who may repair data. A name is compared as it is written in lower case.
CREATE TABLE admins (
    admin_id bigint GENERATED ALWAYS AS IDENTITY,
    name text COLLATE "C" NOT NULL,
    -- argon2id, with its parameters and salt inside (PHC string format)
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    password_changed_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    CONSTRAINT admins_pkey PRIMARY KEY (admin_id),
    CONSTRAINT admins_name_key UNIQUE (name),
    CONSTRAINT admins_name_check CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$')
);

-- One row a browser that is logged in. Only a hash of the cookie is kept: who reads this table cannot log in with it.
CREATE TABLE admin_sessions (
    session_hash bytea NOT NULL,
    admin_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    client text NOT NULL DEFAULT '',
    CONSTRAINT admin_sessions_pkey PRIMARY KEY (session_hash),
    CONSTRAINT admin_sessions_admin_id_fkey FOREIGN KEY (admin_id) REFERENCES admins ON DELETE CASCADE
);
CREATE INDEX admin_sessions_admin_id_idx ON admin_sessions (admin_id);

-- Bearer tokens of scripts, hashed like sessions.
CREATE TABLE admin_tokens (
    token_id bigint GENERATED ALWAYS AS IDENTITY,
    token_hash bytea NOT NULL,
    admin_id bigint NOT NULL,
    label text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT admin_tokens_pkey PRIMARY KEY (token_id),
    CONSTRAINT admin_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT admin_tokens_admin_id_fkey FOREIGN KEY (admin_id) REFERENCES admins ON DELETE CASCADE
);

-- Failed logins in a row, of names that exist and of names that do not, so that nobody can tell them apart.
CREATE TABLE admin_lockouts (
    name text COLLATE "C" NOT NULL,
    failures integer NOT NULL,
    last_failed_at timestamptz NOT NULL,
    locked_until timestamptz,
    CONSTRAINT admin_lockouts_pkey PRIMARY KEY (name)
);

-- Who did what, when, with which result. Rows are only ever added.
CREATE TABLE admin_audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL,
    via text NOT NULL,
    action text NOT NULL,
    -- what it was done to, and what came of it
    detail jsonb NOT NULL DEFAULT '{}',
    result text NOT NULL,
    request_id text NOT NULL DEFAULT '',
    client text NOT NULL DEFAULT '',
    CONSTRAINT admin_audit_pkey PRIMARY KEY (audit_id)
);

-- Replays and rebuilds that a page watches. Whoever runs one beats; one that no longer beats was interrupted.
CREATE TABLE admin_jobs (
    job_id uuid NOT NULL,
    kind text NOT NULL,
    dry_run boolean NOT NULL,
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beaten_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    state text NOT NULL DEFAULT 'running',
    progress jsonb NOT NULL DEFAULT '{}',
    report jsonb,
    error text,
    CONSTRAINT admin_jobs_pkey PRIMARY KEY (job_id),
    CONSTRAINT admin_jobs_state_check CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    CONSTRAINT admin_jobs_finished_check CHECK ((finished_at IS NULL) = (state = 'running'))
);
CREATE INDEX admin_jobs_started_at_idx ON admin_jobs (started_at);
