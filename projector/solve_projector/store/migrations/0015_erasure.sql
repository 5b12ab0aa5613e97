-- Whom a dead letter names, so that an erasure finds it; and whose registration has no name, so that the site's stays.
-- Every writer keeps both, so older ones are fenced. In the order in which a batch writes the tables.
ALTER TABLE users ADD COLUMN nameless boolean NOT NULL DEFAULT false;

-- Unknown of letters that are there: a projector looks into them after the upgrade, in small steps (`live/sweep.py`).
ALTER TABLE dead_letters
    ADD COLUMN user_ids text[] COLLATE "C",
    ADD COLUMN erased boolean NOT NULL DEFAULT false;
CREATE INDEX dead_letters_unread_idx ON dead_letters (dead_letter_id) WHERE user_ids IS NULL;

-- Without a list of what is to be indexed later, which each question would read.
CREATE INDEX dead_letters_user_ids_idx ON dead_letters USING gin (user_ids) WITH (fastupdate = off)
    WHERE NOT erased AND user_ids IS NOT NULL;

-- Reports of repairs hold ids; a page joins the names that users have when it is looked at.
UPDATE admin_jobs SET report = jsonb_set(report, '{updates}', (
    SELECT coalesce(jsonb_agg(CASE WHEN jsonb_typeof(one) = 'object' THEN one - 'username' ELSE one END ORDER BY place), '[]')
    FROM jsonb_array_elements(report -> 'updates') WITH ORDINALITY AS updates (one, place)
))
WHERE jsonb_typeof(report -> 'updates') = 'array';

-- A block begins and ends with a key, which may be an erased name. Blocks that are being made anew are left: nobody waits.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);
CREATE OR REPLACE FUNCTION rename_user_search_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM user_search_keys
    WHERE user_id = OLD.user_id AND key IN (user_search_key(OLD.username), user_search_key(OLD.user_id));
    INSERT INTO user_search_keys (key, user_id)
    SELECT user_search_key(name), NEW.user_id
    FROM (VALUES (NEW.username), (NEW.user_id)) AS names (name)
    WHERE octet_length(NEW.user_id) <= 800
    ON CONFLICT DO NOTHING;
    IF NEW.username = '' AND EXISTS (
        SELECT FROM user_search_blocks WHERE user_search_key(OLD.username) IN (first_key, last_key)
    ) THEN
        DELETE FROM user_search_blocks
        WHERE (first_key, block) IN (SELECT first_key, block FROM user_search_blocks FOR UPDATE SKIP LOCKED);
        DELETE FROM user_search_state
        WHERE singleton IN (SELECT singleton FROM user_search_state FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN NULL;
END
$$;
