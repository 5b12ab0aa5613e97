-- DOMjudge (MariaDB or MySQL): fills the outbox from submission, judging and team.
-- A submission is solved by its valid judging with the result "correct", as long as it is not ignored
-- (submission.valid), whether or not a jury member verified it. Ids are the numbers of the tables, not external ones:
-- take this or the contest's feed, not both. Import what was judged before with mappings/domjudge.toml.
-- Its foreign keys delete rows, and fire no trigger: what they take along is revoked when the contest, its problem or
-- the language is deleted; a deleted problem is withdrawn, a deleted team removed.

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

CREATE PROCEDURE IF NOT EXISTS solve_outbox_submission(is_solved boolean, of_submission int unsigned)
BEGIN
    DECLARE of_team, of_problem, of_contest int unsigned;
    DECLARE is_valid boolean DEFAULT FALSE;
    DECLARE in_language varchar(32);
    DECLARE sent_at datetime(6);
    -- locked, so that a submission is not ignored at the same moment
    SELECT teamid, probid, cid, langid, valid,
        TIMESTAMPADD(MICROSECOND, ROUND(submittime * 1000000), TIMESTAMP '1970-01-01 00:00:00')
    INTO of_team, of_problem, of_contest, in_language, is_valid, sent_at
    FROM submission WHERE submitid = of_submission LOCK IN SHARE MODE;
    IF is_valid THEN
        CALL solve_outbox_verdict(is_solved, of_submission, of_team, of_problem, sent_at, in_language, of_contest);
    END IF;
END//

CREATE PROCEDURE IF NOT EXISTS solve_outbox_gone(
    of_contest int unsigned, of_problem int unsigned, of_language varchar(32))
BEGIN
    DECLARE of_submission int unsigned;
    DECLARE is_over boolean DEFAULT FALSE;
    DECLARE solved CURSOR FOR
        SELECT s.submitid FROM submission AS s JOIN judging AS j ON j.submitid = s.submitid
        WHERE s.cid <=> COALESCE(of_contest, s.cid) AND s.probid <=> COALESCE(of_problem, s.probid)
            AND s.langid <=> COALESCE(of_language, s.langid) AND s.valid AND j.valid AND j.result = 'correct'
        LOCK IN SHARE MODE;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_over = TRUE;
    OPEN solved;
    FETCH solved INTO of_submission;
    WHILE NOT is_over DO
        CALL solve_outbox_submission(FALSE, of_submission);
        FETCH solved INTO of_submission;
    END WHILE;
    CLOSE solved;
END//

CREATE TRIGGER IF NOT EXISTS solve_judging_inserted AFTER INSERT ON judging FOR EACH ROW
IF NEW.valid AND NEW.result = 'correct' THEN
    CALL solve_outbox_submission(TRUE, NEW.submitid);
END IF//

-- A rejudging judges in a row that is not valid. Applied, all judgings of the submission become invalid, then that one
-- valid; cancelled, it stays invalid.
CREATE TRIGGER IF NOT EXISTS solve_judging_updated AFTER UPDATE ON judging FOR EACH ROW
IF (OLD.valid AND OLD.result <=> 'correct') <> (NEW.valid AND NEW.result <=> 'correct') THEN
    CALL solve_outbox_submission(NEW.valid AND NEW.result <=> 'correct', NEW.submitid);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_judging_deleted AFTER DELETE ON judging FOR EACH ROW
IF OLD.valid AND OLD.result = 'correct' THEN
    CALL solve_outbox_submission(FALSE, OLD.submitid);
END IF//

-- Ignored or deleted, a submission is revoked without reading its judgings, one of which may end at this moment.
CREATE TRIGGER IF NOT EXISTS solve_submission_updated AFTER UPDATE ON submission FOR EACH ROW
BEGIN
    DECLARE moved boolean DEFAULT NOT (OLD.teamid <=> NEW.teamid AND OLD.probid <=> NEW.probid);
    IF OLD.valid AND (moved OR NOT NEW.valid) THEN
        CALL solve_outbox_verdict(FALSE, OLD.submitid, OLD.teamid, OLD.probid, NULL, NULL, NULL);
    END IF;
    IF NEW.valid AND (moved OR NOT OLD.valid) AND EXISTS (
        SELECT 1 FROM judging WHERE submitid = NEW.submitid AND valid AND result = 'correct' LOCK IN SHARE MODE
    ) THEN
        CALL solve_outbox_submission(TRUE, NEW.submitid);
    END IF;
END//

CREATE TRIGGER IF NOT EXISTS solve_submission_deleted BEFORE DELETE ON submission FOR EACH ROW
IF OLD.valid THEN
    CALL solve_outbox_verdict(FALSE, OLD.submitid, OLD.teamid, OLD.probid, NULL, NULL, NULL);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_contest_deleted BEFORE DELETE ON contest FOR EACH ROW
CALL solve_outbox_gone(OLD.cid, NULL, NULL)//

CREATE TRIGGER IF NOT EXISTS solve_contestproblem_deleted BEFORE DELETE ON contestproblem FOR EACH ROW
CALL solve_outbox_gone(OLD.cid, OLD.probid, NULL)//

CREATE TRIGGER IF NOT EXISTS solve_language_deleted BEFORE DELETE ON language FOR EACH ROW
CALL solve_outbox_gone(NULL, NULL, OLD.langid)//

CREATE TRIGGER IF NOT EXISTS solve_problem_deleted BEFORE DELETE ON problem FOR EACH ROW
CALL solve_outbox_problem(OLD.probid, FALSE)//

CREATE TRIGGER IF NOT EXISTS solve_team_inserted AFTER INSERT ON team FOR EACH ROW
CALL solve_outbox_user(NEW.teamid, COALESCE(NULLIF(NEW.display_name, ''), NEW.name), NEW.enabled)//

CREATE TRIGGER IF NOT EXISTS solve_team_updated AFTER UPDATE ON team FOR EACH ROW
IF NOT (BINARY OLD.name <=> BINARY NEW.name AND BINARY OLD.display_name <=> BINARY NEW.display_name
    AND OLD.enabled <=> NEW.enabled) THEN
    CALL solve_outbox_user(NEW.teamid, COALESCE(NULLIF(NEW.display_name, ''), NEW.name), NEW.enabled);
END IF//

CREATE TRIGGER IF NOT EXISTS solve_team_deleted AFTER DELETE ON team FOR EACH ROW
CALL solve_outbox_user_gone(OLD.teamid)//

DELIMITER ;
