"""Streaks: consecutive days on which a user solved a problem for the first time. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

ONE_DAY = timedelta(days=1)


class Streaks(NamedTuple):
    """Lengths in days. The current streak lasts until a whole day passes without a solve."""

    current: int
    longest: int


def streaks(days: Sequence[date], today: date) -> Streaks:
    """The streaks of ascending, distinct days. Days after `today` (a judge's clock may run ahead) count as well."""
    longest = run = 0
    last: date | None = None
    for day in days:
        run = run + 1 if last is not None and day - last == ONE_DAY else 1
        longest = max(longest, run)
        last = day
    current = run if last is not None and last >= today - ONE_DAY else 0
    return Streaks(current, longest)
