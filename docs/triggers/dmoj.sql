-- DMOJ (MariaDB or MySQL): fills the outbox from judge_submission, judge_profile, auth_user and judge_problem.
-- A submission is solved as in mappings/dmoj.toml: all cases, and not archived. A problem that is not public, or
-- private to organizations, is withdrawn, and restored once it is public. Ids are the numbers of the tables.
-- Import what was judged before with that mapping, without its two conditions on the problem.

DELIMITER //

-- The row's own number is the revision: it grows with each change of a submission, whatever the clock says.
CREATE PROCEDURE IF NOT EXISTS solve_outbox_verdict(
    is_solved boolean, of_submission varchar(200), of_user varchar(200), of_problem varchar(200),
    sent_at datetime(6), in_language varchar(200), in_contest varchar(200))
BEGIN
    INSERT INTO solve_outbox (aggregateid, type, payload)
    VALUES (of_user, IF(is_solved, 'submission.solved.v1', 'submission.revoked.v1'), JSON_MERGE_PATCH(
        JSON_OBJECT('submission_id', of_submission, 'user_id', of_user, 'problem_id', of_problem,
            'judged_at', DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')),
        JSON_OBJECT('submitted_at', DATE_FORMAT(sent_at, '%Y-%m-%dT%H:%i:%s.%fZ'),
            'language', in_language, 'contest_id', in_contest)));
    UPDATE solve_outbox SET payload = JSON_SET(payload, '$.revision', seq) WHERE seq = LAST_INSERT_ID();
END//

CREATE PROCEDURE IF NOT EXISTS solve_outbox_user(of_user varchar(200), shown_as varchar(200), is_listed boolean)
INSERT INTO solve_outbox (aggregateid, type, payload)
VALUES (of_user, 'user.registered.v1', JSON_MERGE_PATCH(
    JSON_OBJECT('user_id', of_user, 'username', shown_as,
        'registered_at', DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')),
    IF(is_listed, '{"listed": true}', '{"listed": false}')))//

CREATE PROCEDURE IF NOT EXISTS solve_outbox_user_gone(of_user varchar(200))
INSERT INTO solve_outbox (aggregateid, type, payload)
VALUES (of_user, 'user.removed.v1', JSON_OBJECT('user_id', of_user,
    'removed_at', DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')))//

CREATE PROCEDURE IF NOT EXISTS solve_outbox_problem(of_problem varchar(200), does_count boolean)
INSERT INTO solve_outbox (aggregateid, type, payload)
VALUES (of_problem, IF(does_count, 'problem.restored.v1', 'problem.withdrawn.v1'), JSON_OBJECT(
    'problem_id', of_problem, IF(does_count, 'restored_at', 'withdrawn_at'),
    DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')))//

CREATE TRIGGER IF NOT EXISTS solve_submission_inserted AFTER INSERT ON judge_submission FOR EACH ROW
IF NEW.result = 'AC' AND NEW.case_points >= NEW.case_total AND NOT NEW.is_archived THEN
    CALL solve_outbox_verdict(TRUE, NEW.id, NEW.user_id, NEW.problem_id, NEW.date, NEW.language_id,
        NEW.contest_object_id);
END IF//

-- A rejudging sets the result to NULL, then to the new one.
CREATE TRIGGER IF NOT EXISTS solve_submission_updated AFTER UPDATE ON judge_submission FOR EACH ROW
BEGIN
    DECLARE was boolean DEFAULT COALESCE(
        OLD.result = 'AC' AND OLD.case_points >= OLD.case_total AND NOT OLD.is_archived, FALSE);
    DECLARE stands boolean DEFAULT COALESCE(
        NEW.result = 'AC' AND NEW.case_points >= NEW.case_total AND NOT NEW.is_archived, FALSE);
    DECLARE moved boolean DEFAULT OLD.user_id <> NEW.user_id OR OLD.problem_id <> NEW.problem_id;
    IF was AND (moved OR NOT stands) THEN
        CALL solve_outbox_verdict(FALSE, OLD.id, OLD.user_id, OLD.problem_id, NULL, NULL, NULL);
    END IF;
    IF stands AND (moved OR NOT was) THEN
        CALL solve_outbox_verdict(TRUE, NEW.id, NEW.user_id, NEW.problem_id, NEW.date, NEW.language_id,
            NEW.contest_object_id);
    END IF;
END//

CREATE TRIGGER IF NOT EXISTS solve_submission_deleted AFTER DELETE ON judge_submission FOR EACH ROW
IF OLD.result = 'AC' AND OLD.case_points >= OLD.case_total AND NOT OLD.is_archived THEN
    CALL solve_outbox_verdict(FALSE, OLD.id, OLD.user_id, OLD.problem_id, NULL, NULL, NULL);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_profile_inserted AFTER INSERT ON judge_profile FOR EACH ROW
CALL solve_outbox_user(NEW.id, (SELECT username FROM auth_user WHERE id = NEW.user_id), NOT NEW.is_unlisted)//

CREATE TRIGGER IF NOT EXISTS solve_profile_updated AFTER UPDATE ON judge_profile FOR EACH ROW
IF OLD.is_unlisted <> NEW.is_unlisted THEN
    CALL solve_outbox_user(NEW.id, (SELECT username FROM auth_user WHERE id = NEW.user_id), NOT NEW.is_unlisted);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_profile_deleted AFTER DELETE ON judge_profile FOR EACH ROW
CALL solve_outbox_user_gone(OLD.id)//

CREATE TRIGGER IF NOT EXISTS solve_user_renamed AFTER UPDATE ON auth_user FOR EACH ROW
IF BINARY OLD.username <> BINARY NEW.username AND EXISTS (SELECT 1 FROM judge_profile WHERE user_id = NEW.id) THEN
    CALL solve_outbox_user((SELECT id FROM judge_profile WHERE user_id = NEW.id), NEW.username,
        (SELECT NOT is_unlisted FROM judge_profile WHERE user_id = NEW.id));
END IF//

CREATE TRIGGER IF NOT EXISTS solve_problem_inserted AFTER INSERT ON judge_problem FOR EACH ROW
IF NOT NEW.is_public OR NEW.is_organization_private THEN
    CALL solve_outbox_problem(NEW.id, FALSE);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_problem_updated AFTER UPDATE ON judge_problem FOR EACH ROW
IF (OLD.is_public AND NOT OLD.is_organization_private) <> (NEW.is_public AND NOT NEW.is_organization_private) THEN
    CALL solve_outbox_problem(NEW.id, NEW.is_public AND NOT NEW.is_organization_private);
END IF//

DELIMITER ;

-- The problems that do not count now.
INSERT INTO solve_outbox (aggregateid, type, payload)
SELECT id, 'problem.withdrawn.v1', JSON_OBJECT('problem_id', CAST(id AS CHAR),
    'withdrawn_at', DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ'))
FROM judge_problem WHERE NOT is_public OR is_organization_private;
