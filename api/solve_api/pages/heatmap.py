"""The heatmap of a year: weeks as columns, days as rows, darker for more solves. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from solve_api.pages.formats import day_text, plural
from solve_api.profiles.bodies import Day

WEEKS = 53
CELL, STEP = 11, 14
LEFT, TOP = 32, 20
LEVELS = 4
DARKEST_MIN = 4
WITHIN = 0.9
_day_text = lru_cache(maxsize=1024)(day_text)  # all profiles share the same few hundred days


class Cell(NamedTuple):
    """One day with a solve."""

    x: int
    y: int
    level: int
    title: str


class Label(NamedTuple):
    """A text next to the cells."""

    x: int
    y: int
    text: str


class Month(NamedTuple):
    """One row of the year as a table."""

    name: str
    solved: int
    active_days: int


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Everything that the template draws, and a summary in words."""

    width: int
    height: int
    ground: str  # an SVG path around all days, filled with a pattern of empty ones
    cells: Sequence[Cell]
    labels: Sequence[Label]
    months: Sequence[Month]
    solved: int
    active_days: int
    summary: str


def heatmap(days: Iterable[Day], today: date) -> Heatmap:
    """The weeks, from Monday to Sunday, up to the one that contains `today`."""
    first = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    counts = {one.day: one.solved for one in days if first <= one.day <= today}
    top = darkest(counts.values())
    shown = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    cells = [
        Cell(
            LEFT + STEP * ((day - first).days // 7),
            TOP + STEP * day.weekday(),
            level(solved_then, top),
            f"{_day_text(day)}: {plural(solved_then, 'problem')}",
        )
        for day, solved_then in sorted(counts.items())
    ]
    solved = sum(counts.values())
    summary = "Nothing solved in the past year"
    if counts:
        best = max(counts, key=lambda day: (counts[day], day))
        summary = f"{plural(solved, 'problem')} solved on {plural(len(counts), 'day')} in the past year"
        summary += f"; best day {day_text(best)} with {counts[best]:,}"
    months = _months(shown, counts)
    labels = [*_month_labels(first), *_weekday_labels()]
    width, height = LEFT + STEP * WEEKS, TOP + STEP * 7
    return Heatmap(width, height, _ground(today), cells, labels, months, solved, len(counts), summary)


def darkest(counts: Iterable[int]) -> int:
    """The count from which a day is darkest: that of nine in ten days, so that one record day pales no other."""
    ordered = sorted(counts)
    return max(DARKEST_MIN, ordered[ceil(WITHIN * len(ordered)) - 1] if ordered else 0)


def level(count: int, top: int) -> int:
    """0 without a solve, otherwise 1 to 4."""
    return min(LEVELS, ceil(LEVELS * count / top))


def _ground(today: date) -> str:
    """Whole weeks, and the days up to today."""
    weeks, days = STEP * (WEEKS - 1), STEP * (today.weekday() + 1)
    return f"M{LEFT} {TOP}h{weeks}v{STEP * 7}h-{weeks}zm{weeks} 0h{STEP}v{days}h-{STEP}z"


def _months(shown: Sequence[date], counts: dict[date, int]) -> list[Month]:
    found: dict[date, list[int]] = {}
    for day in shown:
        found.setdefault(day.replace(day=1), []).append(counts.get(day, 0))
    return [
        Month(f"{first:%B %Y}", sum(some), sum(1 for one in some if one)) for first, some in reversed(found.items())
    ]


def _month_labels(first: date) -> list[Label]:
    """A label at the first whole week of each month."""
    found, shown = [], 0
    for week in range(WEEKS - 1):
        monday = first + timedelta(days=7 * week)
        if monday.month != shown and monday.day <= 7:
            shown = monday.month
            found.append(Label(LEFT + STEP * week, TOP - 7, f"{monday:%b}"))
    return found


def _weekday_labels() -> list[Label]:
    return [Label(0, TOP + STEP * row + CELL - 2, name) for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))]
