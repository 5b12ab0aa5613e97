"""Keep what the solves of users with very many say in a profile, for as long as the user's version stands.

To count ten thousand solves by day takes three times as long as everything else of a profile. A version changes with
each change to a user's solves, and a profile's statement compares it, so what is kept is never older than the answer.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]

OF_SOLVES = ("days", "solved_of_days", "languages", "solved_of_languages", "recent")
LEAST_SOLVED = 300  # of fewer, reading costs less than a millisecond
MOST_KEPT = 256  # of a few tens of kilobytes each


class KeptSolves:
    """The latest rows of `profile` that took long to read, by user and time zone."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[str, str], Row] = OrderedDict()

    def of(self, user_id: str, zone: str) -> Row | None:
        """The row that is kept, of a version that may be old."""
        if (user_id, zone) not in self._rows:
            return None
        self._rows.move_to_end((user_id, zone))
        return self._rows[user_id, zone]

    def complete(self, row: Row, zone: str, kept: Row | None) -> Row:
        """The `row` that was read, with what it lacks from the `kept` one that its statement was asked to compare."""
        if kept and kept["version"] == row["version"]:
            return {**row, **{name: kept[name] for name in OF_SOLVES}}
        if row["problems_solved"] >= LEAST_SOLVED:
            self._rows[row["user_id"], zone] = row
            if len(self._rows) > MOST_KEPT:
                self._rows.popitem(last=False)
        return row
