"""Entries of the stream of changes. Each holds absolute standings, never differences, so any of them may be skipped.

Times are whole seconds, as on the board. The epoch precedes the version: it grows when PostgreSQL was restored.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple, Self

BOARD_CHANGES_MAX = 100
_STREAM_ID = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


class StreamId(NamedTuple):
    """An id in the stream of changes: how far a reader has read."""

    milliseconds: int
    number: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The id, or None if the text is not one."""
        found = _STREAM_ID.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None


BEGINNING = StreamId(0, 0)


@dataclass(frozen=True)
class UserChange:
    """The new standing of a user."""

    user_id: str
    problems_solved: int
    last_solved_at: datetime | None
    version: int
    epoch: int

    @property
    def order(self) -> tuple[int, int]:
        """Sorts changes by age: greater is newer."""
        return self.epoch, self.version

    @cached_property
    def text(self) -> str:
        """As JSON, encoded once for all readers."""
        fields = {
            "user_id": self.user_id,
            "problems_solved": self.problems_solved,
            "last_solved_at": self.last_solved_at.strftime("%Y-%m-%dT%H:%M:%SZ") if self.last_solved_at else None,
            "version": self.version,
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class BoardChange:
    """Users whose places may have changed; `many` if they are too many to name."""

    changes: Mapping[str, UserChange]
    many: bool = False

    def __bool__(self) -> bool:
        return self.many or bool(self.changes)

    def then(self, later: "BoardChange") -> "BoardChange":
        """This change and a later one, combined."""
        changes = {**self.changes, **later.changes}
        many = self.many or later.many or len(changes) > BOARD_CHANGES_MAX
        return BoardChange({} if many else changes, many)

    @cached_property
    def text(self) -> str:
        """As JSON, encoded once for all readers."""
        changed = ",".join(change.text for change in self.changes.values())
        return f'{{"changed":[{changed}],"many":{json.dumps(self.many)}}}'


NOTHING = BoardChange({})
MANY = BoardChange({}, many=True)


class StreamEntry(NamedTuple):
    """One entry of the stream: what one write changed on the board of an epoch."""

    stream_id: StreamId
    epoch: int
    board: BoardChange


def change_of(row: Sequence[Any], epoch: int) -> UserChange:
    """A change from a row of the query `newer_standings`."""
    user_id, problems_solved, last, version = row
    return UserChange(user_id, problems_solved, last and last.replace(microsecond=0), version, epoch)


def read_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> StreamEntry:
    """Decodes an entry of `write_standings.lua`. Raises ValueError if something else wrote it."""
    stream_id = StreamId.parse(entry_id.decode())
    if stream_id is None:
        raise ValueError("the entry has no stream id")
    try:
        epoch = int(fields[b"epoch"])
        changes = [_change(fields_of_user, epoch) for fields_of_user in json.loads(fields.get(b"users", b"[]"))]
    except (KeyError, TypeError, OverflowError, OSError) as error:
        raise ValueError(f"entry {stream_id} was not written by a projector") from error
    if b"many" in fields:
        return StreamEntry(stream_id, epoch, MANY)
    return StreamEntry(stream_id, epoch, BoardChange({change.user_id: change for change in changes}))


def _change(fields: Any, epoch: int) -> UserChange:
    user_id, problems_solved, last, version = fields
    last_solved_at = None if last is None else datetime.fromtimestamp(last, UTC)
    return UserChange(str(user_id), int(problems_solved), last_solved_at, int(version), epoch)
