-- Additive: writers that are older than a later revision which is not additive are refused, with what to do.
-- A session says its version's revision as `solve.revision`; versions before this revision do not.
CREATE FUNCTION require_writer() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    needed CONSTANT text := (SELECT max(version_num) FROM solve_counts_migration);
    writer CONSTANT text := coalesce(nullif(current_setting('solve.revision', true), ''), '0004');
BEGIN
    IF writer < needed THEN
        RAISE EXCEPTION 'the tables are at revision % and this writer is of revision %; upgrade solve-counts', needed, writer
            USING ERRCODE = 'SC001';
    END IF;
    RETURN NULL;
END
$$;

-- In the order in which a batch writes them: a running batch is waited for, and never waits for us.
LOCK TABLE parked_events, verdicts, dead_letters, partition_offsets IN SHARE ROW EXCLUSIVE MODE;

CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON parked_events
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON verdicts
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON dead_letters
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR UPDATE OR DELETE ON partition_offsets
    FOR EACH STATEMENT EXECUTE FUNCTION require_writer();
