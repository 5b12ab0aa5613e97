"""How many days in a row? Pure: from the days on which somebody solved something for the first time."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

ONE_DAY = timedelta(days=1)


class Streaks(NamedTuple):
    """In days. The current one counts until a whole day has passed without a solve."""

    current: int
    longest: int


def streaks(days: Sequence[date], today: date) -> Streaks:
    """Of days in ascending order, each once. Days after `today` (a judge's clock runs ahead) count like any other."""
    longest = run = 0
    last: date | None = None
    for day in days:
        run = run + 1 if last is not None and day - last == ONE_DAY else 1
        longest = max(longest, run)
        last = day
    current = run if last is not None and last >= today - ONE_DAY else 0
    return Streaks(current, longest)
