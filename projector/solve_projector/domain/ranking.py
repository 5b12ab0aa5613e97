"""What is asked of a board, and what does it answer? The same for a board in Redis, in PostgreSQL and in memory.

The order is the rule's: more problems first, then the earlier last solve in whole seconds, then the smaller id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Position(NamedTuple):
    """Where somebody stands; also where nobody stands any more, so that a page goes on after who has moved."""

    problems_solved: int
    seconds: int  # of the last solve, since 1970
    user_id: str


NOWHERE = Position(0, 0, "")


class Mode(StrEnum):
    """Which stretch."""

    BEGIN = "begin"
    AFTER = "after"
    BEFORE = "before"
    AROUND = "around"


@dataclass(frozen=True, slots=True)
class Stretch:
    """At most `limit` places, relative to a position; AROUND looks at its user_id alone."""

    limit: int
    mode: Mode = Mode.BEGIN
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class Reading:
    """Places from the index `begin` (0 is the first) of a board of `total`, and the users asked for who are on it."""

    total: int
    begin: int
    rows: list[Position]
    places: Mapping[str, tuple[int, Position]]  # the rank, from 1
