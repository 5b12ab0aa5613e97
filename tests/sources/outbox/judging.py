"""The statements of judges on their own tables, and queries of how many problems each user solved by them."""

DMOJ_COUNTS = """
SELECT s.user_id, count(DISTINCT s.problem_id)
FROM judge_submission AS s JOIN judge_problem AS p ON p.id = s.problem_id JOIN judge_profile AS u ON u.id = s.user_id
WHERE s.result = 'AC' AND s.case_points >= s.case_total AND NOT s.is_archived
    AND p.is_public AND NOT p.is_organization_private AND NOT u.is_unlisted
GROUP BY s.user_id
"""

DMOJ_SUBMIT = (
    "INSERT INTO judge_submission (date, user_id, problem_id, language_id) VALUES (UTC_TIMESTAMP(6), {}, {}, 1)"
)


def dmoj_judges(number: int, result: str, points: int = 10) -> tuple[str, ...]:
    """From the queue to the verdict, a first time or again."""
    where = f"WHERE id = {number}"
    return (
        "UPDATE judge_submission SET status = 'QU', result = NULL, points = NULL, case_points = 0, case_total = 0, "
        f"time = NULL, memory = NULL, error = NULL {where}",
        f"UPDATE judge_submission SET status = 'P' {where}",
        f"UPDATE judge_submission SET status = 'G', current_testcase = 1, judged_date = UTC_TIMESTAMP(6) {where}",
        f"UPDATE judge_submission SET status = 'D', result = '{result}', case_points = {points}, case_total = 10 "
        + where,
    )


HUSTOJ_COUNTS = """
SELECT s.user_id, count(DISTINCT s.problem_id) FROM solution AS s JOIN users AS u ON u.user_id = s.user_id
WHERE s.result = 4 AND s.problem_id > 0 AND u.defunct = 'N' GROUP BY s.user_id
"""


def hustoj_judges(number: int, result: int) -> tuple[str, ...]:
    """Pending or pending again, compiling, running, and the result."""
    return tuple(
        f"UPDATE solution SET result = {one}, judgetime = NOW() WHERE solution_id = {number}"
        for one in (1, 2, 3, result)
    )


DOMJUDGE_COUNTS = """
SELECT s.teamid, count(DISTINCT s.probid) FROM submission AS s JOIN team AS t ON t.teamid = s.teamid
WHERE t.enabled AND s.valid AND EXISTS (
    SELECT 1 FROM judging AS j WHERE j.submitid = s.submitid AND j.valid AND j.result = 'correct'
)
GROUP BY s.teamid
"""

DOMJUDGE_ROWS = """
INSERT INTO contest (name) VALUES ('practice'), ('finals');
INSERT INTO problem (name) VALUES ('a'), ('b'), ('c');
INSERT INTO language VALUES ('cpp', 'C++'), ('java', 'Java');
INSERT INTO contestproblem SELECT cid, probid, problem.name FROM contest, problem;
INSERT INTO team (name, display_name) VALUES ('ada', NULL), ('bob', 'Bob & co'), ('eve', '');
"""


def domjudge_submits(number: int, team: int, problem: int, contest: int = 2, language: str = "cpp") -> tuple[str, ...]:
    """A submission, and its first judging."""
    return (
        "INSERT INTO submission (submitid, cid, teamid, probid, langid, submittime) VALUES "
        f"({number}, {contest}, {team}, {problem}, '{language}', UNIX_TIMESTAMP(NOW(6)))",
        f"INSERT INTO judging (cid, submitid, valid) VALUES ({contest}, {number}, 1)",
    )


def domjudge_judges(number: int, result: str, valid: int = 1) -> tuple[str, ...]:
    """A judgehost starts, and ends."""
    where = f"WHERE submitid = {number} AND valid = {valid} AND result IS NULL"
    return (
        f"UPDATE judging SET starttime = UNIX_TIMESTAMP(NOW(6)) {where}",
        f"UPDATE judging SET result = '{result}', endtime = UNIX_TIMESTAMP(NOW(6)) {where}",
    )


def domjudge_rejudges(rejudging: int, number: int, result: str) -> tuple[str, ...]:
    """A rejudging of one submission, which nobody has applied or cancelled yet."""
    return (
        f"INSERT INTO rejudging (rejudgingid, starttime, reason) VALUES ({rejudging}, UNIX_TIMESTAMP(), 'why')",
        f"UPDATE submission SET rejudgingid = {rejudging} WHERE submitid = {number} AND rejudgingid IS NULL",
        "INSERT INTO judging (cid, valid, submitid, prevjudgingid, rejudgingid) "
        f"SELECT cid, 0, submitid, judgingid, {rejudging} FROM judging WHERE submitid = {number} AND valid",
        *domjudge_judges(number, result, valid=0),
    )


def domjudge_applies(rejudging: int, number: int) -> tuple[str, ...]:
    """In one transaction."""
    return (
        f"UPDATE judging SET valid = 0 WHERE submitid = {number}",
        f"UPDATE judging SET valid = 1 WHERE submitid = {number} AND rejudgingid = {rejudging}",
        f"UPDATE submission SET rejudgingid = NULL WHERE submitid = {number}",
    )


def domjudge_cancels(rejudging: int, number: int) -> tuple[str, ...]:
    """Its judging stays invalid."""
    return (
        f"UPDATE submission SET rejudgingid = NULL WHERE rejudgingid = {rejudging} AND submitid = {number}",
        f"UPDATE judging SET result = 'aborted' WHERE rejudgingid = {rejudging} AND result IS NULL",
        f"UPDATE rejudging SET endtime = UNIX_TIMESTAMP(), valid = 0 WHERE rejudgingid = {rejudging}",
    )


QINGDAOU_COUNTS = """
SELECT s.user_id, count(DISTINCT s.problem_id) FROM submission AS s JOIN "user" AS u ON u.id = s.user_id
WHERE s.result = 0 AND NOT u.is_disabled GROUP BY s.user_id
"""


def qingdaou_judges(number: str, result: int) -> tuple[str, ...]:
    """Rejudged, it is saved as it is first."""
    where = f"WHERE id = '{number}'"
    return (
        f"UPDATE submission SET statistic_info = '{{}}', result = result {where}",
        f"UPDATE submission SET result = 7 {where}",
        f"UPDATE submission SET result = {result}, info = '{{\"err\": null}}', user_id = user_id {where}",
    )


CMS_COUNTS = """
SELECT p.user_id, count(DISTINCT s.task_id)
FROM submissions AS s JOIN participations AS p ON p.id = s.participation_id JOIN tasks AS t ON t.id = s.task_id
JOIN submission_results AS r ON r.submission_id = s.id AND r.dataset_id = t.active_dataset_id
WHERE r.score >= 100 AND s.official AND NOT p.hidden GROUP BY p.user_id
"""

CMS_ROWS = """
INSERT INTO contests (name) VALUES ('day 1');
INSERT INTO users (first_name, last_name, username) VALUES ('Ada', 'L.', 'ada'), ('', '', 'bob'), ('E', 've', 'eve');
INSERT INTO participations (contest_id, user_id) VALUES (1, 1), (1, 2), (1, 3);
INSERT INTO tasks (contest_id, name) VALUES (1, 'a'), (1, 'b'), (1, 'c');
INSERT INTO datasets (task_id) VALUES (1), (2), (3), (1);
UPDATE tasks SET active_dataset_id = id;
"""


def cms_scores(number: int, score: float, dataset: int) -> tuple[str, ...]:
    """The evaluation's result is made, or blanked, and then scored."""
    where = f"WHERE submission_id = {number} AND dataset_id = {dataset}"
    return (
        f"INSERT INTO submission_results (submission_id, dataset_id) VALUES ({number}, {dataset}) "
        "ON CONFLICT (submission_id, dataset_id) DO UPDATE SET compilation_outcome = NULL, evaluation_outcome = NULL, "
        "score = NULL, score_details = NULL, public_score = NULL",
        f"UPDATE submission_results SET compilation_outcome = 'ok' {where}",
        f"UPDATE submission_results SET evaluation_outcome = 'ok' {where}",
        f"UPDATE submission_results SET score = {score}, public_score = {score} {where}",
    )
