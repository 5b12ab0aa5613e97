"""Charts and heatmaps of any numbers."""

import re
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from solve_api.pages.charts import Point, Series, Size, Tick, date_ticks, draw, nice_ticks, solves_chart, thinned
from solve_api.pages.heatmap import LEVELS, WEEKS, darkest, heatmap, level
from solve_api.pages.lag import lag_chart
from solve_api.profiles.bodies import Day

TODAY = date(2026, 11, 25)
SIZE = Size(760, 240)
counts = st.integers(1, 10_000)
pasts = st.dictionaries(st.integers(0, 3_000), counts, max_size=60).map(
    lambda found: [Day(day=TODAY - timedelta(days=ago), solved=found[ago]) for ago in sorted(found, reverse=True)]
)


def numbers(path: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?[0-9.]+", path)]


@given(pasts)
def test_the_heatmap_has_every_day_with_a_solve_once_and_all_their_solves(days: list[Day]) -> None:
    found = heatmap(days, TODAY)
    first = TODAY - timedelta(days=TODAY.weekday() + 7 * (WEEKS - 1))
    within = {one.day: one.solved for one in days if one.day >= first}
    assert first.weekday() == 0
    assert len(found.cells) == len({cell[:2] for cell in found.cells}) == len(within) == found.active_days
    assert all(cell.level for cell in found.cells)
    assert sum(month.solved for month in found.months) == sum(within.values()) == found.solved
    assert all(0 <= cell.x <= found.width and 0 <= cell.y <= found.height for cell in found.cells)
    assert len({label[:2] for label in found.labels}) == len(found.labels)


@given(st.lists(counts), counts, counts)
def test_more_is_never_lighter(some: list[int], one: int, other: int) -> None:
    top = darkest(some)
    low, high = sorted((one, other))
    assert 1 <= level(low, top) <= level(high, top) <= LEVELS
    assert level(0, top) == 0
    assert level(max([top, *some]), top) == LEVELS


def test_one_feat_does_not_pale_the_rest_of_the_year() -> None:
    assert level(4, darkest([*[4] * 30, 400])) == LEVELS


def test_a_heatmap_says_in_words_what_it_shows() -> None:
    days = [Day(day=date(2026, 11, 23), solved=1), Day(day=TODAY, solved=3)]
    found = heatmap(days, TODAY)
    assert found.summary == "4 problems solved on 2 days in the past year; best day 25 Nov 2026 with 3"
    assert [cell.title for cell in found.cells] == ["23 Nov 2026: 1 problem", "25 Nov 2026: 3 problems"]
    assert found.ground == "M32 20h728v98h-728zm728 0h14v42h-14z"  # 52 weeks, and three days of this one
    assert found.months[0] == ("November 2026", 4, 2)
    assert heatmap([], TODAY).summary == "Nothing solved in the past year"


@given(st.integers(0, 10**9), st.integers(1, 10))
def test_ticks_are_even_and_reach_the_top_without_crowding(top: int, at_most: int) -> None:
    ticks = nice_ticks(top, at_most)
    step = ticks[1] - ticks[0]
    assert ticks == list(range(0, ticks[-1] + 1, step))
    assert ticks[-2] <= top <= ticks[-1] or (top, ticks) == (0, [0, 1])
    assert len(ticks) <= at_most + 1
    assert str(step).rstrip("0") in {"1", "2", "5"}


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.integers(1, 40_000), st.integers(3, 12))
def test_dates_of_an_axis_are_in_order_within_it_and_not_too_many(first: date, span: int, at_most: int) -> None:
    last = first + timedelta(days=span)
    ticks = [day for day, _ in date_ticks(first, last, at_most)]
    assert ticks == sorted(set(ticks))
    assert all(first <= day <= last for day in ticks)
    assert len(ticks) <= at_most + 1


@given(pasts)
def test_the_line_of_solves_rises_within_its_frame_to_the_count(days: list[Day]) -> None:
    chart = solves_chart(days, TODAY, SIZE)
    if not days:
        assert chart is None
        return
    assert chart
    (line,) = chart.lines
    begin, steps = line.path.split("H", 1)
    xs, ys = zip(*(numbers(step) for step in steps.split("H")), strict=True)
    assert numbers(begin) == [chart.left, chart.bottom]
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    assert chart.top <= min(ys) <= chart.bottom
    assert line.end == (xs[-1], ys[-1]) == (chart.right, ys[-1])
    assert all(chart.left <= tick.at <= chart.right for tick in chart.x_ticks)


def test_solves_over_time_end_today_also_where_the_first_is_of_today() -> None:
    chart = solves_chart([Day(day=TODAY, solved=3)], TODAY, SIZE)
    assert chart
    assert chart.x_ticks == [Tick(chart.left, "24 Nov"), Tick(chart.right, "25 Nov")]
    assert chart.lines[0].path == "M44,212H746V14H746V14"  # nothing until today, and then three
    yesterday = solves_chart([Day(day=TODAY - timedelta(days=1), solved=3)], TODAY, SIZE)
    assert yesterday
    assert yesterday.x_ticks == chart.x_ticks
    assert yesterday.lines[0].path == "M44,212H44V14H746V14"


@given(st.integers(2, 50), st.lists(st.integers(), min_size=2, max_size=400))
def test_thinning_keeps_both_ends_and_order(at_most: int, ys: list[int]) -> None:
    points = [Point(x, y) for x, y in enumerate(ys)]
    found = thinned(points, at_most)
    assert len(found) <= max(at_most, 2)
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert list(found) == sorted(found)


def test_a_chart_of_nothing_is_an_empty_frame() -> None:
    chart = draw([Series("nothing", "none", [])], [], SIZE)
    assert (list(chart.lines), [tick.text for tick in chart.y_ticks]) == ([], ["0", "1"])


def test_lines_that_stand_on_one_moment_are_drawn() -> None:
    chart = draw([Series("one", "one", [Point(5, 3)])], [Tick(5, "now")], SIZE)
    assert chart.lines[0].end.x == chart.left


def test_the_lag_is_drawn_for_each_stage_that_was_asked() -> None:
    past = [{"at": 1_000.0 + 2 * n, "postgresql": n, "redis": 0} for n in range(61)]
    chart = lag_chart(past, SIZE)
    assert chart
    assert [line.style for line in chart.lines] == ["postgresql", "redis"]
    assert [tick.text for tick in chart.x_ticks] == ["−2 min", "−1 min", "now"]
    assert chart.lines[0].end == (chart.right, chart.top)
    assert lag_chart(past[:1], SIZE) is None
    assert [tick.text for tick in lag_chart(past[:5], SIZE).x_ticks] == ["−8 s", "now"]  # type: ignore[union-attr]
