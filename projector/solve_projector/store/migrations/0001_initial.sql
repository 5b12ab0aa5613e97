-- Ids are compared as bytes everywhere: locks, ties, paging and Python agree on one order.

CREATE TABLE users (
    user_id text COLLATE "C" NOT NULL,
    username text NOT NULL,
    -- NULL until the log has registered the user: whatever the log says wins over a row that the site made.
    registered_at timestamptz,
    origin text NOT NULL DEFAULT 'site',
    problems_solved integer NOT NULL DEFAULT 0,
    last_solved_at timestamptz,
    -- Raised by each change of the row; the leaderboard applies only what is newer than what it has.
    version bigint NOT NULL DEFAULT 0,
    CONSTRAINT users_pkey PRIMARY KEY (user_id),
    CONSTRAINT users_origin_check CHECK (origin IN ('log', 'site')),
    CONSTRAINT users_problems_solved_check CHECK (problems_solved >= 0),
    CONSTRAINT users_last_solved_at_check CHECK ((last_solved_at IS NULL) = (problems_solved = 0))
) WITH (fillfactor = 70);

-- The board's order: count, then whole seconds of the last solve, then the id's bytes.
CREATE INDEX users_board_idx ON users (
    problems_solved DESC, date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id
) WHERE problems_solved > 0;
CREATE INDEX users_username_idx ON users (username);

-- One row a submission: the verdict that stands. No foreign key: every write holds the user's row lock already.
CREATE TABLE verdicts (
    user_id text COLLATE "C" NOT NULL,
    problem_id text COLLATE "C" NOT NULL,
    submission_id text COLLATE "C" NOT NULL,
    solved boolean NOT NULL,
    judged_at timestamptz NOT NULL,
    submitted_at timestamptz,
    language text COLLATE "C" NOT NULL,
    contest_id text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    -- The event that set this row, so that a count can be explained.
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    CONSTRAINT verdicts_pkey PRIMARY KEY (user_id, problem_id, submission_id),
    CONSTRAINT verdicts_submitted_at_check CHECK (solved = (submitted_at IS NOT NULL))
);

-- Verdicts of users who do not exist yet, folded by the same rule as verdicts.
CREATE TABLE parked_events (
    LIKE verdicts INCLUDING CONSTRAINTS,
    parked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT parked_events_pkey PRIMARY KEY (user_id, problem_id, submission_id)
);

CREATE TABLE dead_letters (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    broker_timestamp_ms bigint NOT NULL,
    key bytea,
    value bytea,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT dead_letters_pkey PRIMARY KEY (dead_letter_id),
    CONSTRAINT dead_letters_record_key UNIQUE (topic, partition, "offset")
);

-- How far each partition has been applied. Moved only together with what was applied.
CREATE TABLE partition_offsets (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    -- Fingerprint of the log: its first record and the last one applied.
    first_offset bigint,
    first_timestamp_ms bigint,
    last_offset bigint,
    last_timestamp_ms bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partition_offsets_pkey PRIMARY KEY (topic, partition),
    CONSTRAINT partition_offsets_next_offset_check CHECK (next_offset >= 0)
) WITH (fillfactor = 50);

-- Versions in Redis belong to an epoch; a new one begins whenever PostgreSQL may have gone back in time.
CREATE TABLE leaderboard_epoch (
    singleton boolean NOT NULL DEFAULT true,
    epoch bigint NOT NULL DEFAULT 1,
    CONSTRAINT leaderboard_epoch_pkey PRIMARY KEY (singleton),
    CONSTRAINT leaderboard_epoch_singleton_check CHECK (singleton)
);
INSERT INTO leaderboard_epoch DEFAULT VALUES;

-- Users changed by something that no offset stands for (sweep, repair, retry), until Redis has them.
CREATE TABLE leaderboard_outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY,
    user_id text COLLATE "C" NOT NULL,
    CONSTRAINT leaderboard_outbox_pkey PRIMARY KEY (outbox_id)
);
