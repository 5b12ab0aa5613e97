"""Files of standings for these tests, made of Python values."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from solve_sources.errors import StandingsUnusable
from solve_sources.ranklists.forms import read
from solve_sources.ranklists.standings import Reading, Standings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def reading_of(said: Any, **more: Any) -> Reading:
    data = said if isinstance(said, bytes) else json.dumps(said, ensure_ascii=False).encode()
    return Reading(data, "file.json", now=NOW, **more)


def standings_of(said: Any, form: str | None = None, **more: Any) -> Standings:
    return read(reading_of(said, **more), form)


def pairs(standings: Standings) -> set[tuple[str, str]]:
    return {(solve.user_id, solve.problem_id) for solve in standings.solves}


def refusal(said: Any, form: str | None = None, **more: Any) -> str:
    with pytest.raises(StandingsUnusable) as refused:
        standings_of(said, form, **more)
    return str(refused.value)
