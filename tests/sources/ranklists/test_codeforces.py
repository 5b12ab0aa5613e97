"""Codeforces' API: who took part, and which results are final."""

from datetime import UTC, datetime
from typing import Any

from tests.sources.ranklists.reading import pairs, refusal, standings_of

START = 1_611_066_900
PROBLEMS = [{"contestId": 1474, "index": "A", "points": 500.0}, {"contestId": 1474, "index": "B1", "points": 1000.0}]


def party(*handles: str, kind: str = "CONTESTANT", **more: Any) -> dict[str, Any]:
    members = [{"handle": handle} for handle in handles]
    said = {"contestId": 1474, "members": members, "participantType": kind, "ghost": False, "startTimeSeconds": START}
    return {**said, **more}


def cell(points: float, **more: Any) -> dict[str, Any]:
    return {"points": points, "rejectedAttemptCount": 0, "type": "FINAL", "bestSubmissionTimeSeconds": 284, **more}


def row(who: dict[str, Any], *cells: dict[str, Any], rank: int = 1) -> dict[str, Any]:
    return {"party": who, "rank": rank, "points": 0.0, "penalty": 0, "problemResults": list(cells)}


def table(*rows: dict[str, Any], kind: str = "CF", problems: Any = None, **contest: Any) -> dict[str, Any]:
    about = {"id": 1474, "type": kind, "phase": "FINISHED", "startTimeSeconds": START, **contest}
    return {"status": "OK", "result": {"contest": about, "problems": problems or PROBLEMS, "rows": list(rows)}}


def submission(number: int, who: dict[str, Any], verdict: str | None = "OK", **more: Any) -> dict[str, Any]:
    said = {
        "id": number,
        "contestId": 1474,
        "creationTimeSeconds": START + number,
        "relativeTimeSeconds": number,
        "problem": PROBLEMS[0],
        "author": who,
        "programmingLanguage": "GNU C++17",
        "testset": "TESTS",
        **more,
    }
    return said if verdict is None else {**said, "verdict": verdict}


def status(*submissions: dict[str, Any]) -> dict[str, Any]:
    return {"status": "OK", "result": list(submissions)}


def test_standings_count_points_of_those_who_took_part() -> None:
    zero = {"points": 0.0, "rejectedAttemptCount": 1, "type": "FINAL"}
    standings = standings_of(
        table(
            row(party("tiger2005"), cell(492.0), zero),
            row(party("other", kind="OUT_OF_COMPETITION"), cell(400.0), cell(700.0), rank=0),
            row(party("b", "a", teamId=5, teamName="A & B"), zero, cell(1000.0), rank=2),
            row(party("late", kind="VIRTUAL"), cell(500.0), cell(900.0), rank=0),
            row(party(kind="VIRTUAL", ghost=True, teamName="Camp 1"), cell(1.0), zero, rank=3),
        )
    )
    assert pairs(standings) == {
        ("1474:tiger2005", "1474:A"),
        ("1474:other", "1474:A"),
        ("1474:other", "1474:B1"),
        ("1474:team-5", "1474:B1"),
        ("1474:ghost-Camp 1", "1474:A"),
    }
    assert {user.username: user.listed for user in standings.users} == {
        "tiger2005": True,
        "other": False,
        "A & B": True,
        "Camp 1": True,
    }
    assert standings.solves[0].submission_id == "1474:tiger2005:A"
    assert standings.solves[0].submitted_at == datetime.fromtimestamp(START + 284, UTC)
    assert standings.report.left_out == {"solves of participants of the type VIRTUAL": 2}


def test_points_of_pretests_and_parts_of_a_score_are_not_solved() -> None:
    preliminary = standings_of(table(row(party("x"), cell(1.0, type="PRELIMINARY"), cell(0.0)), phase="SYSTEM_TEST"))
    assert preliminary.solves == []
    assert preliminary.report.left_out == {"results of pretests, which a system test may undo": 1}
    parts = standings_of(table(row(party("x"), cell(500.0), cell(999.0)), kind="IOI"))
    assert pairs(parts) == {("1474:x", "1474:A")}
    assert sum(parts.report.left_out.values()) == 1
    unscored = [{"index": "A"}, {"index": "B"}]
    assert standings_of(table(row(party("x"), cell(1.0), cell(1.0)), kind="IOI", problems=unscored)).solves == []
    assert len(standings_of(table(row(party("x"), cell(1.0), cell(1.0)), kind="ICPC", problems=unscored)).solves) == 2


def test_a_part_of_the_standings_is_remarked() -> None:
    standings = standings_of(table(row(party("tiger2005"), cell(492.0), cell(0.0), rank=36)))
    assert any(line.startswith("best rank in the file") and line.endswith(": 36") for line in standings.report.people())


def test_a_status_counts_accepted_submissions_by_their_own_id() -> None:
    standings = standings_of(
        status(
            submission(9, party("x"), "CHALLENGED"),
            submission(8, party("x"), "WRONG_ANSWER"),
            submission(7, party("x", kind="OUT_OF_COMPETITION")),
            submission(6, party("x"), problem={"index": "B1"}),
            submission(5, party("x", kind="PRACTICE"), relativeTimeSeconds=2**31 - 1),
            submission(4, party("y"), testset="PRETESTS"),
            submission(3, party("y"), None),
            submission(2, party("y"), "TESTING"),
        )
    )
    assert {(one.submission_id, one.user_id, one.problem_id, one.language) for one in standings.solves} == {
        ("1474:7", "1474:x", "1474:A", "GNU C++17"),
        ("1474:6", "1474:x", "1474:B1", "GNU C++17"),
    }
    assert {user.user_id: user.listed for user in standings.users} == {"1474:x": True, "1474:y": True}
    assert standings.report.left_out == {
        "solves of participants of the type PRACTICE": 1,
        "results of pretests, which a system test may undo": 1,
        "submissions that are not judged yet": 2,
    }


def test_the_contest_may_be_called_otherwise() -> None:
    assert standings_of(status(submission(1, party("x"))), contest_id="round-696").contest_id == "round-696"
    assert "give its id with --contest-id" in refusal(status())
    assert standings_of(status(), contest_id="empty").solves == []


def test_what_cannot_be_read_is_refused_with_its_place() -> None:
    several = status(submission(1, party("x")), submission(2, party("x"), contestId=1475))
    assert "$.result[1]: it is of another contest" in refusal(several)
    failed = {"status": "FAILED", "comment": "contestId: Contest with id 1 not found"}
    assert 'the API refused the request: "contestId: Contest with id 1 not found"' in refusal(failed)
    assert "$.result.rows[0].problemResults: there are 1, and 2 problems" in refusal(table(row(party("x"), cell(1.0))))
    timeless = cell(1.0, bestSubmissionTimeSeconds=None)
    assert "problemResults[1]: a solve has no time" in refusal(table(row(party("x"), cell(0.0), timeless)))
    started = table(row(party("x", startTimeSeconds=None), cell(1.0), cell(0.0)), startTimeSeconds=None)
    assert "startTimeSeconds: the contest has no start" in refusal(started)
    assert "$.result.rows[0].party: an id is empty" in refusal(table(row(party(), cell(1.0), cell(0.0))))
    assert "is not between 1970 and now" in refusal(status(submission(1, party("x"), creationTimeSeconds=2**63)))
