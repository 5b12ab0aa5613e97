-- HUSTOJ (MySQL or MariaDB): fills the outbox from solution and users.
-- A submission is solved as in mappings/hustoj.toml: result 4, and a problem. '+08:00' is the zone of the server's
-- clock, which DATETIME does not say: change it to yours. Import what was judged before with that mapping.

-- HUSTOJ makes its tables in MyISAM, which has no transactions: a crash could keep a verdict without its event.
ALTER TABLE solution ENGINE = InnoDB;
ALTER TABLE users ENGINE = InnoDB;

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

CREATE TRIGGER IF NOT EXISTS solve_solution_inserted AFTER INSERT ON solution FOR EACH ROW
IF NEW.result = 4 AND NEW.problem_id > 0 THEN
    CALL solve_outbox_verdict(TRUE, NEW.solution_id, NEW.user_id, NEW.problem_id,
        CONVERT_TZ(NEW.in_date, '+08:00', '+00:00'), NEW.language, NULLIF(NEW.contest_id, 0));
END IF//

-- A rejudging sets the result to 1, then to the new one. A problem may get another number, or 0 where it is deleted,
-- and solves may be given to another user.
CREATE TRIGGER IF NOT EXISTS solve_solution_updated AFTER UPDATE ON solution FOR EACH ROW
BEGIN
    DECLARE was boolean DEFAULT OLD.result = 4 AND OLD.problem_id > 0;
    DECLARE stands boolean DEFAULT NEW.result = 4 AND NEW.problem_id > 0;
    DECLARE moved boolean DEFAULT OLD.user_id <> NEW.user_id OR OLD.problem_id <> NEW.problem_id;
    IF was AND (moved OR NOT stands) THEN
        CALL solve_outbox_verdict(FALSE, OLD.solution_id, OLD.user_id, OLD.problem_id, NULL, NULL, NULL);
    END IF;
    IF stands AND (moved OR NOT was) THEN
        CALL solve_outbox_verdict(TRUE, NEW.solution_id, NEW.user_id, NEW.problem_id,
            CONVERT_TZ(NEW.in_date, '+08:00', '+00:00'), NEW.language, NULLIF(NEW.contest_id, 0));
    END IF;
END//

CREATE TRIGGER IF NOT EXISTS solve_solution_deleted AFTER DELETE ON solution FOR EACH ROW
IF OLD.result = 4 AND OLD.problem_id > 0 THEN
    CALL solve_outbox_verdict(FALSE, OLD.solution_id, OLD.user_id, OLD.problem_id, NULL, NULL, NULL);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_user_inserted AFTER INSERT ON users FOR EACH ROW
CALL solve_outbox_user(NEW.user_id, IF(NEW.nick = '', NEW.user_id, NEW.nick), NEW.defunct = 'N')//

CREATE TRIGGER IF NOT EXISTS solve_user_updated AFTER UPDATE ON users FOR EACH ROW
IF BINARY OLD.nick <> BINARY NEW.nick OR OLD.defunct <> NEW.defunct THEN
    CALL solve_outbox_user(NEW.user_id, IF(NEW.nick = '', NEW.user_id, NEW.nick), NEW.defunct = 'N');
END IF//

CREATE TRIGGER IF NOT EXISTS solve_user_deleted AFTER DELETE ON users FOR EACH ROW
CALL solve_outbox_user_gone(OLD.user_id)//

DELIMITER ;
