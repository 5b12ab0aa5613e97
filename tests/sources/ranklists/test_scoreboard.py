"""The CLICS scoreboard: the real one of the World Finals, and each version's times."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sources.ranklists.reading import NOW, pairs, refusal, standings_of

START = datetime(2024, 4, 18, 9, 47, 59, tzinfo=UTC)
STATE: dict[str, Any] = {"started": "2024-04-18T11:47:59+02", "ended": "2024-04-18T16:47:59.000+02:00"}
TEAMS: list[dict[str, Any]] = [
    {"id": "1", "name": "One", "display_name": "The Ones"},
    {"id": "2", "name": "Jury", "hidden": True},
]


def board(*problems: dict[str, Any], state: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    cells = [{"num_judged": 1, "num_pending": 0, **problem} for problem in problems]
    return {
        "state": STATE if state is None else state,
        "rows": [{"rank": 1, "team_id": "1", "problems": cells}],
        **more,
    }


def beside(teams: Any = TEAMS) -> dict[str, Any]:
    return {"contest_id": "c", "teams": json.dumps(teams).encode()}


def test_the_world_finals_scoreboard_gives_what_their_feed_gives(wf47: Path) -> None:
    teams = (wf47 / "teams.json").read_bytes()
    standings = standings_of((wf47 / "scoreboard.json").read_bytes(), contest_id="wf47_finals", teams=teams)
    assert (len(standings.users), len(standings.solves)) == (130, 604)
    assert standings.frozen_since == START + timedelta(hours=4)
    assert sum(solve.submitted_at < standings.frozen_since for solve in standings.solves) == 519


@pytest.mark.parametrize(("time", "after"), [(20, 1_200), ("0:20:00", 1_200), ("3:25:07.250", 12_307.25)])
def test_times_of_each_version(time: Any, after: float) -> None:
    standings = standings_of(board({"problem_id": "a", "solved": True, "time": time}), **beside())
    assert [solve.submitted_at for solve in standings.solves] == [START + timedelta(seconds=after)]
    assert standings.solves[0].submission_id == "c:1:a"


def test_minutes_after_the_end_are_seconds() -> None:
    cells = ({"problem_id": "a", "solved": True, "time": 60}, {"problem_id": "b", "solved": True, "time": 301})
    standings = standings_of(board(*cells), **beside())
    assert [solve.submitted_at - START for solve in standings.solves] == [timedelta(seconds=60), timedelta(seconds=301)]
    assert any("read as seconds" in line for line in standings.report.people())


def test_the_start_follows_from_the_time_where_it_is_not_said() -> None:
    cell = {"problem_id": 7, "solved": True, "time": 20}
    said = board(cell, state={}, time="2024-04-18T16:48:59+02:00", contest_time="5:01:00.000")
    standings = standings_of(said, **beside())
    assert standings.solves[0].submitted_at == START + timedelta(minutes=20)
    assert pairs(standings) == {("c:1", "c:7")}
    assert "$.state.started: the contest has no start" in refusal(board(state={}), **beside())


def test_hidden_teams_are_not_listed_and_pending_results_are_counted() -> None:
    standings = standings_of(
        board({"problem_id": "a", "solved": False, "num_pending": 2}, {"problem_id": "b", "score": 30.0}), **beside()
    )
    assert [(user.username, user.listed) for user in standings.users] == [("The Ones", True), ("Jury", False)]
    assert standings.report.people()[3:] == [
        "solved: 0",
        "left out, results that are pending or frozen: 2",
        "left out, scores that do not say whether it is solved: 1",
    ]


def test_a_freeze_is_over_once_thawed() -> None:
    frozen = {**STATE, "frozen": "2024-04-18T15:47:59+02:00"}
    assert standings_of(board(state=frozen), **beside()).frozen_since == START + timedelta(hours=4)
    thawed = {**frozen, "thawed": "2024-04-18T18:00:00+02:00"}
    assert standings_of(board(state=thawed), **beside()).frozen_since is None


def test_what_is_missing_is_said_with_its_place() -> None:
    solved = {"problem_id": "a", "solved": True}
    assert "with --teams" in refusal(board(), contest_id="c")
    assert "$.rows[0].problems[0]: a solve has no time" in refusal(board(solved), **beside())
    assert standings_of(board(solved), default_time=NOW, **beside()).solves[0].submitted_at == NOW
    assert '$.rows[0].team_id: "1" is not among the teams' in refusal(board(), **beside([]))
    assert "the teams of file.json: $[1].id: " in refusal(board(), **beside([{"id": "1"}, {"id": None}]))
    assert '$.rows[0].problems[0].time: "soon"' in refusal(board({**solved, "time": "soon"}), **beside())
    assert "is not between 1970 and now" in refusal(board({**solved, "time": 10**18}), **beside())


def test_a_start_before_all_time_is_refused() -> None:
    said = board(state={}, time="2024-04-18T16:48:59+02:00", contest_time="99999999:00:00")
    assert "too far from the start" in refusal(said, **beside())
