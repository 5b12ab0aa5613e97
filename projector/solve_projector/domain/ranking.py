"""Questions to a leaderboard and its answers, the same for one in Redis, in PostgreSQL and in memory.

The order is the rule's: more problems first, then the earlier last solve in whole seconds, then the smaller id. Who is
equal in the first two shares the rank: 1, 1, 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class RankKey(NamedTuple):
    """What users are sorted by. Nobody needs to have it now: a page starts after it all the same."""

    problems_solved: int
    seconds: int  # of the last solve, since 1970
    user_id: str


NOWHERE = RankKey(0, 0, "")


class Mode(StrEnum):
    """Where a page starts: at the top, or relative to a rank key."""

    BEGIN = "begin"
    AFTER = "after"
    BEFORE = "before"
    AROUND = "around"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` places, relative to `position`; AROUND uses its user_id only."""

    limit: int
    mode: Mode = Mode.BEGIN
    position: RankKey = NOWHERE


@dataclass(frozen=True, slots=True)
class BoardPage:
    """Rows from index `begin` (0 is the first) of `total`, and the ranks of the users asked for."""

    total: int
    begin: int
    first_rank: int  # of the first row, from 1: less than its place where it shares the rank with rows before it
    rows: list[RankKey]
    places: Mapping[str, tuple[int, RankKey]]  # the rank

    def ranked(self) -> list[tuple[int, RankKey]]:
        """The rows with their ranks."""
        found: list[tuple[int, RankKey]] = []
        rank, solved, seconds = self.first_rank, None, None
        for place, row in enumerate(self.rows, self.begin + 1):
            if solved != row[0] or seconds != row[1]:
                solved, seconds, _ = row
                rank = place if found else rank
            found.append((rank, row))
        return found
