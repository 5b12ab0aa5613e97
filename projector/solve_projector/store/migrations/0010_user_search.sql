-- Additive: triggers keep what is new, whoever writes `users`. What a search compares stands in a table of its own, so
-- that nothing that a solve changes is in an index with it.

-- A running batch is waited for, and never waits for us: it takes what it needs of `users` after its offset rows.
LOCK TABLE users IN ACCESS EXCLUSIVE MODE;

-- `pg_temp` last: a function of the owner's must not find a table that its caller made for it.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);

-- What a name or an id is compared by: any capitals, and any way to write the same characters. Folding can undo the
-- normal form, so it is made twice; of ASCII alone the same is ten times cheaper. 200 characters at most, as in events:
-- an entry of an index is limited.
CREATE FUNCTION user_search_key(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN left(
    CASE
        WHEN octet_length(name) = char_length(name) THEN casefold(name COLLATE pg_unicode_fast)
        ELSE normalize(casefold(normalize(name, NFKC) COLLATE pg_unicode_fast), NFKC)
    END,
    200
);

-- Two rows a user, or one where the name folds to the same as the id.
CREATE TABLE user_search_keys (
    key text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    CONSTRAINT user_search_keys_pkey PRIMARY KEY (key, user_id)
);

-- The users of 300 consecutive keys each, for searches that match many: the best of a range are in the blocks whose best
-- are best. Made again by the API, at a bounded cost; empty after a crash, until then.
CREATE UNLOGGED TABLE user_search_blocks (
    block integer NOT NULL,
    first_key text COLLATE "C" NOT NULL,
    last_key text COLLATE "C" NOT NULL,
    -- best first: the top ten, and all
    top_solved integer[] NOT NULL,
    top_user_ids text[] COLLATE "C" NOT NULL,
    solved integer[] NOT NULL,
    user_ids text[] COLLATE "C" NOT NULL,
    CONSTRAINT user_search_blocks_pkey PRIMARY KEY (first_key, block)
) WITH (toast_tuple_target = 512);
-- A search compares the top ten of all blocks, and reads all of a few: these are kept apart.
ALTER TABLE user_search_blocks
    ALTER COLUMN top_solved SET STORAGE MAIN, ALTER COLUMN top_user_ids SET STORAGE MAIN,
    ALTER COLUMN solved SET STORAGE EXTERNAL, ALTER COLUMN user_ids SET STORAGE EXTERNAL;

CREATE UNLOGGED TABLE user_search_state (
    singleton boolean NOT NULL DEFAULT true,
    as_of timestamptz NOT NULL,
    fresh_until timestamptz NOT NULL,
    CONSTRAINT user_search_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT user_search_state_singleton_check CHECK (singleton)
);

-- These run as the owner, so that a site that inserts into `users` itself needs no other permission. An id too long for
-- an event, and for an index beside a key, is found by nobody.
CREATE FUNCTION add_user_search_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO user_search_keys (key, user_id)
    SELECT user_search_key(name), user_id
    FROM added
    CROSS JOIN LATERAL (VALUES (username), (user_id)) AS names (name)
    WHERE octet_length(user_id) <= 800
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION remove_user_search_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM user_search_keys
    USING removed, LATERAL (VALUES (username), (removed.user_id)) AS names (name)
    WHERE user_search_keys.key = user_search_key(name) AND user_search_keys.user_id = removed.user_id;
    RETURN NULL;
END
$$;

CREATE FUNCTION rename_user_search_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM user_search_keys
    WHERE user_id = OLD.user_id AND key IN (user_search_key(OLD.username), user_search_key(OLD.user_id));
    INSERT INTO user_search_keys (key, user_id)
    SELECT user_search_key(name), NEW.user_id
    FROM (VALUES (NEW.username), (NEW.user_id)) AS names (name)
    WHERE octet_length(NEW.user_id) <= 800
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION clear_user_search_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    TRUNCATE user_search_keys;
    RETURN NULL;
END
$$;

INSERT INTO user_search_keys (key, user_id)
SELECT DISTINCT user_search_key(name) COLLATE "C" AS key, user_id
FROM users
CROSS JOIN LATERAL (VALUES (username), (user_id)) AS names (name)
WHERE octet_length(user_id) <= 800
ORDER BY key, user_id;

CREATE TRIGGER add_search_keys AFTER INSERT ON users
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_user_search_keys();
CREATE TRIGGER remove_search_keys AFTER DELETE ON users
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION remove_user_search_keys();
-- By row, since only then can it name the columns: counts change all the time, names hardly ever.
CREATE TRIGGER rename_search_keys AFTER UPDATE OF user_id, username ON users
    FOR EACH ROW WHEN ((OLD.user_id, OLD.username) IS DISTINCT FROM (NEW.user_id, NEW.username))
    EXECUTE FUNCTION rename_user_search_keys();
CREATE TRIGGER clear_search_keys AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION clear_user_search_keys();

DROP INDEX users_username_idx;
