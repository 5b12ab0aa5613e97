"""Streaks, compared with a model that looks at every day."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from solve_api.profiles.streaks import Streaks, streaks

TODAY = date(2026, 11, 25)
ago = st.integers(-1, 12).map(lambda days: TODAY - timedelta(days=days))


def test_nobody_who_solved_nothing_has_a_streak() -> None:
    assert streaks([], TODAY) == Streaks(0, 0)


def test_a_streak_lives_until_a_whole_day_has_passed() -> None:
    yesterday = [TODAY - timedelta(days=2), TODAY - timedelta(days=1)]
    assert streaks(yesterday, TODAY) == Streaks(2, 2)
    assert streaks(yesterday, TODAY + timedelta(days=1)) == Streaks(0, 2)


@given(st.sets(ago))
def test_streaks_are_what_looking_at_every_day_says(days: set[date]) -> None:
    longest = max((_run(days, day) for day in days), default=0)
    newest = max(days, default=None)
    current = _run(days, newest) if newest and newest >= TODAY - timedelta(days=1) else 0
    assert streaks(sorted(days), TODAY) == Streaks(current, longest)


def _run(days: set[date], last: date) -> int:
    length = 0
    while last - timedelta(days=length) in days:
        length += 1
    return length
