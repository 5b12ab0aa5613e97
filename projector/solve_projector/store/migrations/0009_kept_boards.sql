-- Additive: boards that PostgreSQL ranks itself, of periods and of all time without Redis. Each is computed as a whole,
-- kept while somebody asks for it, and can be computed again: unlogged, so that keeping them costs no WAL.
-- A build writes its places under a new generation and puts that into the board's row last.
CREATE UNLOGGED TABLE kept_boards (
    begins_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    generation bigint NOT NULL,
    total integer NOT NULL,
    -- every solve committed before it is on the board
    computed_at timestamptz NOT NULL,
    built_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,
    CONSTRAINT kept_boards_pkey PRIMARY KEY (begins_at, ends_at)
);

-- 1,000 places a row, in the order of the board; `before` is how many stand before its first.
CREATE UNLOGGED TABLE kept_places (
    generation bigint NOT NULL,
    before integer NOT NULL,
    -- the first place's: counts negated, so that all three ascend
    first_negated integer NOT NULL,
    first_second bigint NOT NULL,
    first_user_id text COLLATE "C" NOT NULL,
    negated integer[] NOT NULL,
    seconds bigint[] NOT NULL,
    user_ids text[] COLLATE "C" NOT NULL,
    CONSTRAINT kept_places_pkey PRIMARY KEY (generation, before)
);
CREATE INDEX kept_places_first_idx ON kept_places (generation, first_negated, first_second, first_user_id);

-- The ranks of 1,000 users a row, by id.
CREATE UNLOGGED TABLE kept_ranks (
    generation bigint NOT NULL,
    first_user_id text COLLATE "C" NOT NULL,
    user_ids text[] COLLATE "C" NOT NULL,
    ranks integer[] NOT NULL,
    CONSTRAINT kept_ranks_pkey PRIMARY KEY (generation, first_user_id)
);

-- Not compressed: a build is short of time, and what it writes is soon dropped.
ALTER TABLE kept_places
    ALTER COLUMN negated SET STORAGE EXTERNAL,
    ALTER COLUMN seconds SET STORAGE EXTERNAL,
    ALTER COLUMN user_ids SET STORAGE EXTERNAL;
ALTER TABLE kept_ranks
    ALTER COLUMN user_ids SET STORAGE EXTERNAL,
    ALTER COLUMN ranks SET STORAGE EXTERNAL;

-- What changes with each solve stands in no index of users, and finds room on its own page.
DROP INDEX users_board_idx;
ALTER TABLE users SET (fillfactor = 50);
