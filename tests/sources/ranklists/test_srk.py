"""Standard Ranklist: each version's rows, and what real archives have that the specification has not."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sources.ranklists.reading import pairs, refusal, standings_of

START = datetime(2022, 11, 6, 1, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {
        "user": {"id": "t1", "name": {"fallback": "One", "zh-CN": "一"}, "organization": "Uni", "markers": ["girls"]},
        "score": {"value": 2, "time": [166, "min"]},
        "statuses": [
            {"result": "FB", "time": [79, "min"], "tries": 1},
            {
                "result": "AC",
                "time": [5220, "s"],
                "solutions": [{"result": "WA", "time": [3000, "s"]}, {"result": "AC", "time": [5220, "s"]}],
            },
        ],
    },
    {
        "user": {"id": "t2", "name": "Two", "official": False},
        "score": {"value": 1},
        "statuses": [{"result": None, "time": [0, "s"]}, {"result": "AC", "time": [1.5, "h"]}],
    },
    {
        "user": {"id": "t3", "name": "Three"},
        "score": {"value": 0},
        "statuses": [{"result": "?", "tries": 2}, {"result": "RJ", "time": [0, "s"], "tries": 1}],
    },
]
RANKLIST: dict[str, Any] = {
    "type": "general",
    "version": "0.3.13",
    "contest": {
        "title": "Demo",
        "startAt": "2022-11-06T09:00:00+08:00",
        "duration": [5, "h"],
        "frozenDuration": [1, "h"],
    },
    "problems": [{"alias": "A"}, {"title": "Without an alias"}],
    "series": [],
    "rows": ROWS,
    "sorter": {"algorithm": "ICPC", "config": {}},
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    said = copy.deepcopy(RANKLIST)
    place: Any = said
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return said


def test_first_blood_and_accepted_are_solved() -> None:
    standings = standings_of(RANKLIST, contest_id="demo")
    times = {solve.submission_id: solve.submitted_at - START for solve in standings.solves}
    assert times == {
        "demo:t1:A": timedelta(minutes=79),
        "demo:t1:B": timedelta(minutes=87),
        "demo:t2:B": timedelta(minutes=90),
    }
    assert pairs(standings) == {("demo:t1", "demo:A"), ("demo:t1", "demo:B"), ("demo:t2", "demo:B")}
    assert [(user.user_id, user.username, user.listed) for user in standings.users] == [
        ("demo:t1", "One", True),
        ("demo:t2", "Two", False),
        ("demo:t3", "Three", True),
    ]
    assert {user.registered_at for user in standings.users} == {START}


def test_the_report_counts_what_is_frozen_and_since_when() -> None:
    standings = standings_of(RANKLIST, contest_id="demo")
    assert standings.frozen_since == START + timedelta(hours=4)
    assert standings.report.people() == [
        "contest demo, from srk 0.3.13",
        "users: 3",
        "unlisted users: 1",
        "solved: 3",
        "left out, frozen results: 1",
    ]
    thawed = standings_of(changed("rows", 2, "statuses", 0, to={"result": "RJ"}), contest_id="demo")
    assert thawed.frozen_since is None


def test_a_result_stands_above_its_solutions() -> None:
    older = {"result": "RJ", "solutions": [{"result": "AC", "time": [10, "min"]}]}
    standings = standings_of(changed("rows", 0, "statuses", 0, to=older), contest_id="demo")
    assert ("demo:t1", "demo:A") not in pairs(standings)
    assert standings.report.left_out["accepted solutions of a status that is not"] == 1
    assert standings.report.remarks["rows whose score is not their number of solved problems"] == 1


def test_the_time_of_a_solve_may_be_that_of_its_first_accepted_solution() -> None:
    without = {"result": "AC", "solutions": [{"result": "AC", "time": [10, "min"]}, {"result": "AC", "time": [1, "h"]}]}
    standings = standings_of(changed("rows", 0, "statuses", 0, to=without), contest_id="demo")
    assert standings.solves[0].submitted_at == START + timedelta(minutes=10)


def test_a_solve_without_any_time_needs_the_default() -> None:
    said = changed("rows", 0, "statuses", 0, to={"result": "AC"})
    assert "$.rows[0].statuses[0]: a solve has no time" in refusal(said, contest_id="demo")
    standings = standings_of(said, contest_id="demo", default_time=START)
    assert standings.solves[0].submitted_at == START
    assert standings.report.remarks["solves with the default time"] == 1


@pytest.mark.parametrize(
    ("user", "user_id"),
    [
        ({"name": "One", "organization": "Uni"}, "demo:One/Uni"),
        ({"id": 7, "name": "One"}, "demo:7"),
        ({"id": " ", "name": " ", "organization": "Uni"}, "demo:Uni"),
    ],
)
def test_a_user_of_an_older_version_or_a_careless_archive(user: dict[str, Any], user_id: str) -> None:
    standings = standings_of(changed("rows", 0, "user", to=user), contest_id="demo")
    assert standings.users[0].user_id == user_id


def test_ids_stay_when_rows_move_and_solutions_come() -> None:
    again = copy.deepcopy(RANKLIST)
    again["rows"].reverse()
    again["rows"][2]["statuses"][0]["solutions"] = [{"result": "FB", "time": [79, "min"]}]
    assert set(standings_of(again, contest_id="demo").solves) == set(standings_of(RANKLIST, contest_id="demo").solves)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("rows", 1, "user", "name"), 5, "$.rows[1].user.name: Expected"),
        (("rows", 1, "user", "id"), "t1", '$.rows[1].user: there are two of the id "demo:t1"'),
        (("rows", 1, "user", "id"), "x" * 200, "$.rows[1].user: an id of more than 200 characters"),
        (("rows", 1, "user"), {}, "$.rows[1].user: an id is empty"),
        (("rows", 1, "statuses"), [], "$.rows[1].statuses: there are 0, and 2 problems"),
        (("rows", 0, "statuses", 0, "time"), [1, "weeks"], '$.rows[0].statuses[0].time: "weeks" is not one of'),
        (("rows", 0, "statuses", 0, "time"), [1e300, "d"], "$.rows[0].statuses[0].time: 1e+300 d is too long"),
        (("rows", 0, "statuses", 0, "time"), [9_000, "d"], "is not between 1970 and now"),
        (("rows", 0, "statuses", 0, "time"), 5, "$.rows[0].statuses[0].time: Expected"),
        (("problems", 1), {"alias": "A"}, '$.problems[1].alias: a second problem is called "A"'),
        (("contest", "startAt"), "2022-11-06T09:00:00", "$.contest.startAt: "),
        (("contest", "startAt"), "1969-11-06T09:00:00Z", "is not between 1970 and now"),
        (("problems",), None, "$.problems: Expected `array`, got `null`"),
    ],
)
def test_bad_input_is_refused_with_its_place(path: tuple[Any, ...], value: Any, said: str) -> None:
    refused = refusal(changed(*path, to=value), contest_id="demo")
    assert refused.startswith("file.json: ")
    assert said in refused


def test_a_ranklist_does_not_name_its_contest() -> None:
    assert "give its id with --contest-id" in refusal(RANKLIST)


def test_a_contest_to_come_registers_nobody_in_the_future() -> None:
    said = changed("contest", "startAt", to="2026-06-02T00:00:00Z")
    said["rows"] = ROWS[2:]
    assert standings_of(said, contest_id="demo").users[0].registered_at == datetime(2026, 6, 1, tzinfo=UTC)
