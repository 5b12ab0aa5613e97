"""The columns that a contest keeps of each object that a feed names."""

import json
from collections.abc import Iterator
from typing import Any

from solve_sources.clics.schedule import LONGEST_CONTEST
from solve_sources.reconciliation.scratch import TICK, as_time, in_microseconds, storable
from solve_sources.times import parse_relative_time, parse_time


def _team_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    name = said.get("display_name") or said.get("name") or ""
    ids = [storable(str(one)) for one in said.get("group_ids") or ()]
    return (storable(str(name)), said.get("hidden") is True, json.dumps(ids), gone)


def _group_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    return (said.get("hidden") is True, gone)


def _problem_columns(_: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    return (gone,)


def _type_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    solved = said.get("solved")
    return (said["id"] == "AC" if solved is None else solved is True, gone)


COLUMNS_OF = {
    "teams": _team_columns,
    "groups": _group_columns,
    "problems": _problem_columns,
    "judgement-types": _type_columns,
}


def submission_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    """Of `submissions`, after the id."""
    ids = (text_of(said.get(name)) for name in ("team_id", "problem_id", "language_id"))
    return (*ids, *_times(said, "time", "contest_time"), gone)


def judgement_columns(said: dict[str, Any], gone: bool, change: int) -> tuple[Any, ...]:
    """Of `judgements`, after the ids of the judgement and its submission."""
    stands = said.get("current") is not False and said.get("valid") is not False
    times = _times(said, "start_time", "start_contest_time", "end_time", "end_contest_time")
    # 2026-01: who may not see the verdict itself sees a simplified one
    verdict = said.get("judgement_type_id") or said.get("simplified_judgement_type_id")
    return (text_of(verdict), *times, stands, change, gone)


def text_of(value: Any) -> str | None:
    """An id, whatever it is in JSON."""
    return None if value is None else storable(str(value))


def _times(said: dict[str, Any], *names: str) -> Iterator[int | None]:
    """In microseconds, since 1970 or since the start; None where one is missing or unusable."""
    for name in names:
        if name.endswith("contest_time"):
            relative = parse_relative_time(said.get(name))
            yield None if relative is None or abs(relative) > LONGEST_CONTEST else relative // TICK
        else:
            absolute = parse_time(said.get(name))
            yield None if absolute is None or absolute < as_time(0) else in_microseconds(absolute)
