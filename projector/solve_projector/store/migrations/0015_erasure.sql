-- Whom a dead letter names, so that an erasure finds it. Every writer keeps it, so older ones are fenced.
ALTER TABLE dead_letters
    ADD COLUMN user_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
    ADD COLUMN erased boolean NOT NULL DEFAULT false;

-- About what `domain/named_users.py` finds; a letter whose bytes are no text names nobody.
CREATE FUNCTION users_of_dead_letter(key bytea, value bytea) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    found text[];
BEGIN
    BEGIN
        SELECT array_agg(DISTINCT named[1]::json #>> '{}') INTO found
        FROM regexp_matches(convert_from(value, 'UTF8'), '"user_id"\s*:\s*("(?:[^"\\]|\\.)+"|[0-9]+)', 'g') AS named;
    EXCEPTION WHEN others THEN
        found := NULL;
    END;
    RETURN array_remove(coalesce(found, ARRAY[convert_from(key, 'UTF8')]), NULL);
EXCEPTION WHEN others THEN
    RETURN '{}';
END
$$;
UPDATE dead_letters SET user_ids = ARRAY(
    SELECT user_id FROM unnest(users_of_dead_letter(key, value)) AS named (user_id)
    WHERE char_length(user_id) BETWEEN 1 AND 200
);
DROP FUNCTION users_of_dead_letter;

-- Without a list of what is to be indexed later, which each question would read.
CREATE INDEX dead_letters_user_ids_idx ON dead_letters USING gin (user_ids) WITH (fastupdate = off) WHERE NOT erased;
