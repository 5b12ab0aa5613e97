-- CMS (PostgreSQL): fills the outbox from submissions, submission_results, participations, tasks and users.
-- CMS has scores instead of verdicts. A submission is solved with the full score on the active dataset of its task, if
-- it is official and its participation is not hidden. The full score is 100: if yours differs, say so below and in
-- mappings/cms.toml, with which you import what was judged before.
-- Apply this as the owner of the outbox: its functions run with the rights of whoever makes them.

CREATE OR REPLACE FUNCTION solve_outbox_full_score(of_task integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE AS $$
    SELECT 100::double precision  -- or by task: CASE of_task WHEN 7 THEN 40 ELSE 100 END
$$;

-- What can stand: one row a result, also those of datasets that are not active.
CREATE OR REPLACE VIEW solve_outbox_results AS
SELECT submissions.id, submissions.task_id, submissions."timestamp", submissions.language, submissions.official,
    submissions.participation_id, participations.user_id, participations.contest_id, participations.hidden,
    submission_results.dataset_id, submission_results.dataset_id = tasks.active_dataset_id AS active,
    coalesce(submission_results.score >= solve_outbox_full_score(submissions.task_id), false) AS is_full
FROM submission_results
JOIN submissions ON submissions.id = submission_results.submission_id
JOIN participations ON participations.id = submissions.participation_id
JOIN tasks ON tasks.id = submissions.task_id;

-- The revision comes from the outbox's own sequence, so it grows with each change of a submission.
CREATE OR REPLACE FUNCTION solve_outbox_verdict(is_solved boolean, one solve_outbox_results) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (
        one.user_id,
        CASE WHEN is_solved THEN 'submission.solved.v1' ELSE 'submission.revoked.v1' END,
        jsonb_strip_nulls(jsonb_build_object(
            'submission_id', one.id::text, 'user_id', one.user_id::text, 'problem_id', one.task_id::text,
            'judged_at', clock_timestamp(), 'revision', nextval(pg_get_serial_sequence('solve_outbox', 'seq')),
            'submitted_at', one."timestamp" AT TIME ZONE 'UTC', 'language', one.language,
            'contest_id', one.contest_id::text))
    )
$$;
REVOKE EXECUTE ON FUNCTION solve_outbox_verdict(boolean, solve_outbox_results) FROM PUBLIC;

-- CMS sets a score to NULL where it compiles or evaluates again, then to the new one. The rows that decide are locked
-- first, so that none of them changes at the same moment.
CREATE OR REPLACE FUNCTION solve_result_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM submissions
    JOIN participations ON participations.id = submissions.participation_id
    JOIN tasks ON tasks.id = submissions.task_id
    WHERE submissions.id = NEW.submission_id
    FOR SHARE;
    PERFORM solve_outbox_verdict(one.is_full, one) FROM solve_outbox_results AS one
    WHERE id = NEW.submission_id AND dataset_id = NEW.dataset_id AND active AND official AND NOT hidden
        AND is_full <> coalesce(OLD.score >= solve_outbox_full_score(task_id), false);
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER solve_result_to_outbox AFTER INSERT OR UPDATE OF score ON submission_results
    FOR EACH ROW EXECUTE FUNCTION solve_result_to_outbox();

-- What an admin does, one transaction at a time: hide, declare unofficial, activate, delete. Otherwise two of them
-- would each see the other's row as it was.
CREATE OR REPLACE FUNCTION solve_outbox_wait() RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('solve_outbox_wait', 0))
$$;

-- Before, as long as the rows are there that say whose it is.
CREATE OR REPLACE FUNCTION solve_result_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM solve_outbox_wait();
    PERFORM solve_outbox_verdict(false, one) FROM solve_outbox_results AS one
    WHERE id = OLD.submission_id AND dataset_id = OLD.dataset_id AND active AND official AND NOT hidden AND is_full;
    RETURN OLD;
END
$$;

CREATE OR REPLACE TRIGGER solve_result_deleted BEFORE DELETE ON submission_results
    FOR EACH ROW EXECUTE FUNCTION solve_result_deleted();

CREATE OR REPLACE FUNCTION solve_submission_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM solve_outbox_wait();
    PERFORM solve_outbox_verdict(TG_OP = 'UPDATE' AND NEW.official, one) FROM solve_outbox_results AS one
    WHERE id = OLD.id AND active AND NOT hidden AND is_full AND OLD.official <> (TG_OP = 'UPDATE' AND NEW.official);
    RETURN OLD;
END
$$;

CREATE OR REPLACE TRIGGER solve_submission_to_outbox AFTER UPDATE OF official ON submissions
    FOR EACH ROW EXECUTE FUNCTION solve_submission_to_outbox();
CREATE OR REPLACE TRIGGER solve_submission_deleted BEFORE DELETE ON submissions
    FOR EACH ROW EXECUTE FUNCTION solve_submission_to_outbox();

CREATE OR REPLACE FUNCTION solve_participation_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM solve_outbox_wait();
    PERFORM solve_outbox_verdict(OLD.hidden, one) FROM solve_outbox_results AS one
    WHERE participation_id = OLD.id AND active AND official AND is_full
        AND OLD.hidden <> (TG_OP = 'DELETE' OR NEW.hidden);
    RETURN OLD;
END
$$;

CREATE OR REPLACE TRIGGER solve_participation_to_outbox AFTER UPDATE OF hidden ON participations
    FOR EACH ROW EXECUTE FUNCTION solve_participation_to_outbox();
CREATE OR REPLACE TRIGGER solve_participation_deleted BEFORE DELETE ON participations
    FOR EACH ROW EXECUTE FUNCTION solve_participation_to_outbox();

-- Another dataset becomes active: what only one of the two solves. Before, because a dataset that is deleted takes its
-- results along in the same statement.
CREATE OR REPLACE FUNCTION solve_dataset_activated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM solve_outbox_wait();
    PERFORM solve_outbox_verdict(one.dataset_id IS NOT DISTINCT FROM NEW.active_dataset_id, one)
    FROM solve_outbox_results AS one
    WHERE task_id = NEW.id AND official AND NOT hidden AND is_full
        AND dataset_id IN (OLD.active_dataset_id, NEW.active_dataset_id)
        AND NOT EXISTS (
            SELECT FROM solve_outbox_results AS other
            WHERE other.id = one.id AND other.is_full AND other.dataset_id <> one.dataset_id
                AND other.dataset_id IN (OLD.active_dataset_id, NEW.active_dataset_id)
        );
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER solve_dataset_activated BEFORE UPDATE OF active_dataset_id ON tasks
    FOR EACH ROW WHEN (OLD.active_dataset_id IS DISTINCT FROM NEW.active_dataset_id)
    EXECUTE FUNCTION solve_dataset_activated();

CREATE OR REPLACE FUNCTION solve_task_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (OLD.id, 'problem.withdrawn.v1',
        jsonb_build_object('problem_id', OLD.id::text, 'withdrawn_at', clock_timestamp()));
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER solve_task_deleted AFTER DELETE ON tasks
    FOR EACH ROW EXECUTE FUNCTION solve_task_deleted();

CREATE OR REPLACE FUNCTION solve_user_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (OLD.id, 'user.removed.v1',
            jsonb_build_object('user_id', OLD.id::text, 'removed_at', clock_timestamp()));
    ELSE
        INSERT INTO solve_outbox (aggregateid, type, payload) VALUES (NEW.id, 'user.registered.v1',
            jsonb_build_object('user_id', NEW.id::text, 'registered_at', clock_timestamp(), 
                'username', coalesce(nullif(trim(concat_ws(' ', NEW.first_name, NEW.last_name)), ''), NEW.username)));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER solve_user_to_outbox AFTER INSERT OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION solve_user_to_outbox();
CREATE OR REPLACE TRIGGER solve_user_changed AFTER UPDATE ON users
    FOR EACH ROW WHEN (
        (OLD.username, OLD.first_name, OLD.last_name) IS DISTINCT FROM (NEW.username, NEW.first_name, NEW.last_name)
    )
    EXECUTE FUNCTION solve_user_to_outbox();
