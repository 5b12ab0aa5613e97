"""Line charts as coordinates for an SVG. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from math import ceil, floor, log10
from typing import NamedTuple

from solve_api.profiles.bodies import Day

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 44, 14, 14, 28
LABEL_WIDTH = 64
Y_TICKS = 4
MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
DAY_STEPS = (1, 2, 7, 14, 31)
SHORT_SPAN_DAYS = 70


class Size(NamedTuple):
    """The size of a chart."""

    width: int
    height: int


# a page has one of each, and shows the one that fits
SIZES = (("wide", Size(960, 260)), ("narrow", Size(340, 210)))


class Tick(NamedTuple):
    """A mark on an axis: its place and its label."""

    at: float
    text: str


class Point(NamedTuple):
    """A value, or its place in the chart."""

    x: float
    y: float


class Series(NamedTuple):
    """The values of one line. `style` is its class in the stylesheet."""

    name: str
    style: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Line:
    """A line as SVG paths, and its last point."""

    name: str
    style: str
    path: str
    area: str
    end: Point


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template draws. The lines lie between `left` and `right`, `top` and `bottom`."""

    size: Size
    left: float
    right: float
    top: float
    bottom: float
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]


def draw(series: Sequence[Series], x_ticks: Sequence[Tick], size: Size, *, steps: bool = False) -> Chart:
    """Places values between axes that start at 0. With `steps`, a value holds until the next one."""
    xs = [point.x for one in series for point in one.points] + [tick.at for tick in x_ticks]
    first, last = min(xs, default=0.0), max(xs, default=1.0)
    ticks = nice_ticks(max((point.y for one in series for point in one.points), default=0.0), Y_TICKS)
    left, right = float(MARGIN_LEFT), float(size.width - MARGIN_RIGHT)
    top, bottom = float(MARGIN_TOP), float(size.height - MARGIN_BOTTOM)
    x_unit, y_unit = (right - left) / ((last - first) or 1.0), (bottom - top) / ticks[-1]

    def placed(point: Point) -> Point:
        return Point(round(left + (point.x - first) * x_unit, 1), round(bottom - point.y * y_unit, 1))

    lines = [
        _line(one, [placed(point) for point in thinned(one.points, size.width)], bottom, steps)
        for one in series
        if one.points
    ]
    return Chart(
        size,
        left,
        right,
        top,
        bottom,
        lines,
        [Tick(placed(Point(tick.at, 0)).x, tick.text) for tick in x_ticks],
        [Tick(placed(Point(first, at)).y, f"{at:,}") for at in ticks],
    )


def solves_chart(days: Sequence[Day], today: date, size: Size) -> Chart | None:
    """Problems solved from the first solve until today, or None without a solve.

    A single day has no width, so a line whose first solve is today starts yesterday.
    """
    if not days:
        return None
    last = max(today, days[-1].day)
    first = min(days[0].day, last - timedelta(days=1))
    totals = accumulate(one.solved for one in days)
    points = [Point(one.day.toordinal(), total) for one, total in zip(days, totals, strict=True)]
    points = [Point(first.toordinal(), 0), *points, Point(last.toordinal(), points[-1].y)]
    ticks = date_ticks(first, last, max(2, (size.width - MARGIN_LEFT) // LABEL_WIDTH))
    series = Series("Problems solved", "solves", points)
    return draw([series], [Tick(day.toordinal(), text) for day, text in ticks], size, steps=True)


def nice_ticks(top: float, at_most: int) -> list[int]:
    """Whole numbers from 0 to `top` or just above, in steps of 1, 2 or 5 times a power of ten."""
    least = max(top / at_most, 1.0)
    size = 10 ** floor(log10(least))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least)
    return [step * number for number in range(max(1, ceil(top / step)) + 1)]


def date_ticks(first: date, last: date, at_most: int) -> list[tuple[date, str]]:
    """Labelled days of an axis: first days of months, or single days for a short span."""
    span = (last - first).days
    if span <= SHORT_SPAN_DAYS:
        step = next(step for step in DAY_STEPS if span // step + 1 <= max(at_most, 3))
        found = [first + timedelta(days=number) for number in range(0, span + 1, step)]
        return [(day, f"{day.day} {day:%b}") for day in found]
    months = _months(first, last)
    step = next((step for step in MONTH_STEPS if ceil(len(months) / step) <= at_most), MONTH_STEPS[-1])
    chosen = [day for day in months if (day.year * 12 + day.month - 1) % step == 0]
    return [(day, f"{day:%Y}" if day.month == 1 else f"{day:%b}") for day in chosen]


def thinned(points: Sequence[Point], at_most: int) -> Sequence[Point]:
    """Every n-th point and the last, if there are more than can be seen."""
    if len(points) <= at_most:
        return points
    step = ceil((len(points) - 1) / (at_most - 1))
    return [*points[:-1:step], points[-1]]


def _months(first: date, last: date) -> list[date]:
    begin, end = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    found = [date(number // 12, number % 12 + 1, 1) for number in range(begin, end + 1)]
    return [day for day in found if day >= first]


def _line(series: Series, places: Sequence[Point], bottom: float, steps: bool) -> Line:
    begin, end = places[0], places[-1]
    moves = [f"H{x:g}V{y:g}" if steps else f"L{x:g},{y:g}" for x, y in places[1:]]
    path = f"M{begin.x:g},{begin.y:g}{''.join(moves)}"
    return Line(series.name, series.style, path, f"{path}V{bottom:g}H{begin.x:g}Z", end)
