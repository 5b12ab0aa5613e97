-- QingdaoU OnlineJudge (PostgreSQL): fills the outbox from submission and "user".
-- A submission is solved as in mappings/qingdaou.toml: result 0, in contests too. Import what was judged before with
-- that mapping. Apply this as the owner of the outbox: its functions run with the rights of whoever makes them.

-- The revision comes from the outbox's own sequence while the submission's row is locked, so it grows with each change.
CREATE OR REPLACE FUNCTION solve_outbox_verdict(is_solved boolean, one submission) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (
        one.user_id,
        CASE WHEN is_solved THEN 'submission.solved.v1' ELSE 'submission.revoked.v1' END,
        jsonb_strip_nulls(jsonb_build_object(
            'submission_id', one.id, 'user_id', one.user_id::text, 'problem_id', one.problem_id::text,
            'judged_at', clock_timestamp(), 'revision', nextval(pg_get_serial_sequence('solve_outbox', 'seq')),
            'submitted_at', one.create_time, 'language', one.language, 'contest_id', one.contest_id::text))
    )
$$;
REVOKE EXECUTE ON FUNCTION solve_outbox_verdict(boolean, submission) FROM PUBLIC;

-- A rejudging sets the result to 7 (judging), then to the new one.
CREATE OR REPLACE FUNCTION solve_submission_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    was boolean := coalesce(OLD.result = 0, false);
    stands boolean := coalesce(NEW.result = 0, false);
    moved boolean := (OLD.user_id, OLD.problem_id) IS DISTINCT FROM (NEW.user_id, NEW.problem_id);
BEGIN
    IF was AND (moved OR NOT stands) THEN
        PERFORM solve_outbox_verdict(false, OLD);
    END IF;
    IF stands AND (moved OR NOT was) THEN
        PERFORM solve_outbox_verdict(true, NEW);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER solve_submission_to_outbox
    AFTER INSERT OR UPDATE OF result, user_id, problem_id OR DELETE ON submission
    FOR EACH ROW EXECUTE FUNCTION solve_submission_to_outbox();

CREATE OR REPLACE FUNCTION solve_user_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (OLD.id, 'user.removed.v1',
            jsonb_build_object('user_id', OLD.id::text, 'removed_at', clock_timestamp()));
    ELSE
        INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (NEW.id, 'user.registered.v1',
            jsonb_build_object('user_id', NEW.id::text, 'registered_at', clock_timestamp(), 
                'username', NEW.username, 'listed', NOT NEW.is_disabled));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER solve_user_to_outbox AFTER INSERT OR DELETE ON "user"
    FOR EACH ROW EXECUTE FUNCTION solve_user_to_outbox();
CREATE OR REPLACE TRIGGER solve_user_changed AFTER UPDATE ON "user"
    FOR EACH ROW WHEN ((OLD.username, OLD.is_disabled) IS DISTINCT FROM (NEW.username, NEW.is_disabled))
    EXECUTE FUNCTION solve_user_to_outbox();
