"""Reads the scoreboard of the CLICS Contest API, as DOMjudge and other systems export it, beside its `teams`.

`/api/contests/ID/scoreboard` in the versions 2020-03 to 2026-01: https://ccs-specs.icpc.io/2026-01/json_format#scoreboard.
Ids of teams and problems are those of the contest's event feed. A scoreboard names no submissions, so a solve is called
`contest:team:problem`: there is one at most. Its time is in whole minutes up to 2023-06 (DOMjudge can be set to write
seconds, which shows by times after the contest's end). While it is frozen, hidden results count as pending.
"""

from datetime import datetime, timedelta

from msgspec import Raw, Struct

from solve_sources.ranklists.standings import Gathering, Reading, Report, Standings, decoded, each, seconds
from solve_sources.reconciliation.wanted import WantedSolve
from solve_sources.times import parse_relative_time, parse_time


class State(Struct):
    """When each phase of the contest began."""

    started: str | None = None
    ended: str | None = None
    frozen: str | None = None
    thawed: str | None = None


class Problem(Struct):
    """A cell."""

    problem_id: str | int
    solved: bool | None = None
    score: float | None = None
    time: int | str | None = None
    num_pending: int = 0


class Row(Struct):
    """A team and its cells."""

    team_id: str | int
    problems: list[Problem] = []


class Scoreboard(Struct):
    """The whole file; its rows are read one by one."""

    rows: list[Raw]
    state: State | None = None
    time: str | None = None
    contest_time: str | None = None


class Team(Struct):
    """A team of `/api/contests/ID/teams`."""

    id: str | int
    name: str | None = None
    display_name: str | None = None
    hidden: bool | None = None


def read_scoreboard(reading: Reading) -> Standings:
    """The contest of a scoreboard. Raises StandingsUnusable."""
    scoreboard = decoded(reading, reading.data, Scoreboard)
    state = scoreboard.state or State()
    start = _start(reading, scoreboard, state)
    gathering = Gathering(reading, Report("a CLICS scoreboard", reading.contest()))
    _read_teams(gathering, start)
    rows = list(each(reading, scoreboard.rows, Row, "$.rows"))
    unit = _unit(gathering, rows, state, start)
    for place, row in rows:
        user_id = reading.id_of(place, gathering.contest_id, str(row.team_id))
        if user_id not in gathering.users:
            reading.refuse(f"{place}.team_id", f'"{row.team_id}" is not among the teams; give those of this contest')
        for index, problem in enumerate(row.problems):
            _read_problem(gathering, f"{place}.problems[{index}]", (str(row.team_id), problem), start, unit)
    frozen = None if state.thawed else parse_time(state.frozen or "")
    return gathering.standings(frozen)


def _start(reading: Reading, scoreboard: Scoreboard, state: State) -> datetime:
    start = parse_time(state.started or "")
    if start is None:  # not given by every version
        now, spent = parse_time(scoreboard.time or ""), parse_relative_time(scoreboard.contest_time or "")
        if now is None or spent is None:
            reading.refuse("$.state.started", "the contest has no start, and there is nothing solved without one")
        start = reading.after("$.contest_time", now, -spent)
    return reading.moment("$.state.started", start)


def _read_teams(gathering: Gathering, start: datetime) -> None:
    reading = gathering.reading
    if reading.teams is None:
        reading.refuse("$", "a scoreboard has no names of teams; give the contest's /teams as a file with --teams")
    beside = Reading(reading.teams, f"the teams of {reading.name}", now=reading.now)
    for place, team in each(beside, decoded(beside, beside.data, list[Raw]), Team, "$"):
        name = team.display_name or team.name or str(team.id)
        user_id = beside.id_of(place, gathering.contest_id, str(team.id))
        gathering.user(place, user_id, name, start, listed=team.hidden is not True)


def _unit(gathering: Gathering, rows: list[tuple[str, Row]], state: State, start: datetime) -> timedelta:
    """What a whole number of time counts: minutes, or seconds where minutes would be after the end."""
    minutes, ended = timedelta(minutes=1), parse_time(state.ended or "")
    last = max((cell.time for _, row in rows for cell in row.problems if isinstance(cell.time, int)), default=0)
    if seconds(60 * last) <= (ended or gathering.reading.now) - start:
        return minutes
    gathering.report.remarks["times read as seconds, since as minutes they would be after the end"] += 1
    return timedelta(seconds=1)


def _read_problem(
    gathering: Gathering, place: str, cell: tuple[str, Problem], start: datetime, unit: timedelta
) -> None:
    reading, (team_id, problem) = gathering.reading, cell
    contest, problem_id = gathering.contest_id, str(problem.problem_id)
    if not problem.solved:
        gathering.report.left_out["results that are pending or frozen"] += problem.num_pending
        gathering.report.left_out["scores that do not say whether it is solved"] += (
            problem.solved is None and problem.score is not None and problem.score > 0
        )
        return
    time = _time(gathering, place, problem.time, start, unit)
    gathering.solve(
        WantedSolve(
            reading.id_of(place, contest, team_id),
            reading.id_of(place, contest, problem_id),
            reading.id_of(place, contest, team_id, problem_id),
            time,
            time,
            contest_id=contest,
        )
    )


def _time(gathering: Gathering, place: str, said: int | str | None, start: datetime, unit: timedelta) -> datetime:
    reading = gathering.reading
    if said is None:  # DOMjudge gives none where run times decide ties
        gathering.report.remarks["solves with the default time"] += 1
        return reading.missing_time(place)
    spent = parse_relative_time(said) if isinstance(said, str) else seconds(said * int(unit.total_seconds()))
    if spent is None:
        reading.refuse(f"{place}.time", f'"{said}" is not a time since the start, such as 20 or 0:20:00')
    return reading.after(place, start, spent)
