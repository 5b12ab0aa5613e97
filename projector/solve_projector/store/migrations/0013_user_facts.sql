-- Who is on no board, and who was removed. Every writer keeps them, so older ones are fenced.
-- Not in an index with what a solve changes: an update of a count finds room on its page all the same.
ALTER TABLE users
    ADD COLUMN listed boolean NOT NULL DEFAULT true,
    ADD COLUMN removed boolean NOT NULL DEFAULT false;
CREATE INDEX users_hidden_idx ON users (user_id) WHERE removed OR NOT listed;

-- The latest removal of a user, and the latest that erases. It may come before any registration, and creates no user.
CREATE TABLE user_removals (
    user_id text COLLATE "C" NOT NULL,
    removed_at timestamptz NOT NULL,
    reason text COLLATE "C" NOT NULL,
    erased_at timestamptz,
    CONSTRAINT user_removals_pkey PRIMARY KEY (user_id),
    CONSTRAINT user_removals_erased_at_check CHECK (erased_at <= removed_at)
);
CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON user_removals
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();
