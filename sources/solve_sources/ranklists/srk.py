"""Reads Standard Ranklist JSON (`srk`), versions 0.2 and 0.3: https://github.com/algoux/standard-ranklist.

`result` of a status is the verdict (`FB` and `AC` are solved), whatever its `solutions` say: they may be older than a
rejudging. A ranklist says nothing of submissions by name, so a solve is called `contest:user:problem`: there is one at
most, and it keeps that name when the list is exported again with more solutions, or without any. `?` is frozen, and not
solved. Unofficial users are not listed. Up to 0.2.3 a user may have no id: then their name and organisation are it.
"""

from datetime import datetime, timedelta
from string import ascii_uppercase
from typing import Any

from msgspec import Raw, Struct

from solve_sources.ranklists.standings import Gathering, Reading, Report, Standings, decoded, each, text_of
from solve_sources.reconciliation.wanted import WantedSolve
from solve_sources.times import parse_time

SOLVED = frozenset(("AC", "FB"))
FROZEN = "?"
UNITS = {"ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days"}

Text = str | dict[str, Any]
Duration = tuple[float, str]


class Contest(Struct):
    """When it was."""

    startAt: str  # noqa: N815 - the form's own names
    duration: Duration | None = None
    frozenDuration: Duration | None = None  # noqa: N815


class Problem(Struct):
    """A column."""

    alias: str | None = None


class Solution(Struct):
    """A submission; the list of a status may hold all, some or none."""

    result: str | None = None
    time: Duration | None = None


class Status(Struct):
    """A cell."""

    result: str | None = None
    time: Duration | None = None
    solutions: list[Solution] | None = None


class User(Struct):
    """Who a row is about."""

    name: Text | None = None
    id: str | int | None = None
    organization: Text | None = None
    official: bool | None = None


class Score(Struct):
    """The row's own sum."""

    value: float = 0


class Row(Struct):
    """A user and the cells of all problems."""

    user: User
    statuses: list[Status]
    score: Score | None = None


class Sorter(Struct):
    """How rows are ordered."""

    algorithm: str = ""


class Ranklist(Struct):
    """The whole file; its rows are read one by one."""

    contest: Contest
    problems: list[Problem]
    rows: list[Raw]
    version: str = ""
    sorter: Sorter | None = None


def read_srk(reading: Reading) -> Standings:
    """The contest of a ranklist. Raises StandingsUnusable."""
    ranklist = decoded(reading, reading.data, Ranklist)
    start = parse_time(ranklist.contest.startAt)
    if start is None:
        reading.refuse("$.contest.startAt", f'"{ranklist.contest.startAt}" is not a time with a zone')
    report = Report(f"srk {ranklist.version}".strip(), reading.contest())
    gathering = Gathering(reading, report)
    aliases = _aliases(reading, ranklist.problems)
    for place, row in each(reading, ranklist.rows, Row, "$.rows"):
        _read_row(gathering, place, row, aliases, start)
        if _is_icpc(ranklist) and row.score and row.score.value != sum(one.result in SOLVED for one in row.statuses):
            report.remarks["rows whose score is not their number of solved problems"] += 1
    return gathering.standings(_frozen_since(gathering, ranklist.contest, start))


def _aliases(reading: Reading, problems: list[Problem]) -> list[str]:
    """The problems' names in the contest; without one, the letters that spreadsheets give to columns."""
    aliases = [problem.alias or _letters(index) for index, problem in enumerate(problems)]
    for index, alias in enumerate(aliases):
        if alias in aliases[:index]:
            reading.refuse(f"$.problems[{index}].alias", f'a second problem is called "{alias}"; correct the file')
    return aliases


def _letters(index: int) -> str:
    more, last = divmod(index, len(ascii_uppercase))
    return (_letters(more - 1) if more else "") + ascii_uppercase[last]


def _read_row(gathering: Gathering, place: str, row: Row, aliases: list[str], start: datetime) -> None:
    reading = gathering.reading
    if len(row.statuses) != len(aliases):
        reading.refuse(
            f"{place}.statuses", f"there are {len(row.statuses)}, and {len(aliases)} problems; correct the file"
        )
    key = _key(row.user)
    user_id = reading.id_of(f"{place}.user", gathering.contest_id, key)
    gathering.user(
        f"{place}.user", user_id, text_of(row.user.name) or key, start, listed=row.user.official is not False
    )
    for index, (alias, status) in enumerate(zip(aliases, row.statuses, strict=True)):
        where = f"{place}.statuses[{index}]"
        if status.result in SOLVED:
            time = _time(gathering, where, status, start)
            names = (gathering.contest_id, key, alias)
            gathering.solve(
                WantedSolve(
                    user_id,
                    reading.id_of(where, gathering.contest_id, alias),
                    reading.id_of(where, *names),
                    time,
                    time,
                    contest_id=gathering.contest_id,
                )
            )
        elif status.result == FROZEN:
            gathering.report.left_out["frozen results"] += 1
        elif any(one.result in SOLVED for one in status.solutions or ()):
            gathering.report.left_out["accepted solutions of a status that is not"] += 1


def _key(user: User) -> str:
    parts = [str(user.id)] if user.id is not None else []
    if not "".join(parts).strip():  # archives have blank ones too
        parts = [text_of(user.name), text_of(user.organization)]
    return "/".join(part for part in parts if part.strip())


def _time(gathering: Gathering, place: str, status: Status, start: datetime) -> datetime:
    """When it was solved: the status's own time, or that of its first accepted solution."""
    accepted = [one.time for one in status.solutions or () if one.result in SOLVED and one.time is not None]
    spent = status.time or next(iter(accepted), None)
    if spent is None:
        gathering.report.remarks["solves with the default time"] += 1
        return gathering.reading.missing_time(place)
    return gathering.reading.after(place, start, _duration(gathering.reading, place, spent))


def _duration(reading: Reading, place: str, said: Duration) -> timedelta:
    number, unit = said
    if unit not in UNITS:
        reading.refuse(f"{place}.time", f'"{unit}" is not one of the units {", ".join(UNITS)}')
    try:
        return timedelta(**{UNITS[unit]: number})
    except OverflowError:
        reading.refuse(f"{place}.time", f"{number:g} {unit} is too long")


def _is_icpc(ranklist: Ranklist) -> bool:
    return ranklist.sorter is not None and ranklist.sorter.algorithm == "ICPC"


def _frozen_since(gathering: Gathering, contest: Contest, start: datetime) -> datetime | None:
    """The start of a freeze that hides results; None once they are shown."""
    if not gathering.report.left_out["frozen results"]:
        return None
    if contest.duration is None or contest.frozenDuration is None:
        return start  # it says not from when
    whole, hidden = (
        _duration(gathering.reading, f"$.contest.{name}", said)
        for name, said in (("duration", contest.duration), ("frozenDuration", contest.frozenDuration))
    )
    try:
        return start + (whole - hidden)
    except OverflowError:
        gathering.reading.refuse("$.contest", "its freeze is too far from its start; correct the file")
