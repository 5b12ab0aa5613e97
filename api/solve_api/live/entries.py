"""What is said of a change? Always how a user stands now, never by how much, so that any of it may be left out.

Times are whole seconds, as on the board. The epoch comes before the version: it grows where PostgreSQL went back.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple, Self

BOARD_CHANGES_MAX = 100
_POSITION = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


class Position(NamedTuple):
    """An id of the stream of changes: how far somebody has read."""

    milliseconds: int
    number: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.number}"

    @classmethod
    def parse(cls, said: str) -> Self | None:
        """None where it is no id."""
        found = _POSITION.fullmatch(said)
        return cls(int(found[1]), int(found[2])) if found else None


BEGINNING = Position(0, 0)


@dataclass(frozen=True)
class Change:
    """How a user stands."""

    user_id: str
    problems_solved: int
    last_solved_at: datetime | None
    version: int
    epoch: int

    @property
    def order(self) -> tuple[int, int]:
        """More is newer."""
        return self.epoch, self.version

    @cached_property
    def text(self) -> str:
        """As JSON; written once, however many read it."""
        said = {
            "user_id": self.user_id,
            "problems_solved": self.problems_solved,
            "last_solved_at": self.last_solved_at.strftime("%Y-%m-%dT%H:%M:%SZ") if self.last_solved_at else None,
            "version": self.version,
        }
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class BoardChange:
    """Whose place may have moved; too many to name: only that."""

    changes: Mapping[str, Change]
    many: bool = False

    def __bool__(self) -> bool:
        return self.many or bool(self.changes)

    def then(self, later: "BoardChange") -> "BoardChange":
        """Both in one."""
        changes = {**self.changes, **later.changes}
        many = self.many or later.many or len(changes) > BOARD_CHANGES_MAX
        return BoardChange({} if many else changes, many)

    @cached_property
    def text(self) -> str:
        """As JSON; written once, however many read it."""
        changed = ",".join(change.text for change in self.changes.values())
        return f'{{"changed":[{changed}],"many":{json.dumps(self.many)}}}'


NOTHING = BoardChange({})
MANY = BoardChange({}, many=True)


class Entry(NamedTuple):
    """One entry of the stream: what one write changed on the board of an epoch."""

    position: Position
    epoch: int
    board: BoardChange


def change_of(row: Sequence[Any], epoch: int) -> Change:
    """From a row of `sql/newer_standings.sql`."""
    user_id, problems_solved, last, version = row
    return Change(user_id, problems_solved, last and last.replace(microsecond=0), version, epoch)


def read_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """As `write_standings.lua` wrote it. Raises ValueError where somebody else did."""
    position = Position.parse(entry_id.decode())
    if position is None:
        raise ValueError(f"{entry_id!r} is no stream id")
    try:
        epoch = int(fields[b"epoch"])
        changes = [_told(told, epoch) for told in json.loads(fields.get(b"users", b"[]"))]
    except (KeyError, TypeError, OverflowError, OSError) as error:
        raise ValueError(f"entry {position} is not ours") from error
    if b"many" in fields:
        return Entry(position, epoch, MANY)
    return Entry(position, epoch, BoardChange({change.user_id: change for change in changes}))


def _told(told: Any, epoch: int) -> Change:
    user_id, problems_solved, last, version = told
    last_solved_at = None if last is None else datetime.fromtimestamp(last, UTC)
    return Change(str(user_id), int(problems_solved), last_solved_at, int(version), epoch)
