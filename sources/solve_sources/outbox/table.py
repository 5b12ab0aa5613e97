"""The outbox as the relay uses it, whatever the database.

Rows are published by one relay at a time. A batch lives in one session: it holds the lock, reads, and settles there.
So a relay that loses its session has lost the lock, and can settle nothing; whoever has the lock next reads those rows
again. Between two batches nobody holds the lock.

What is read is what stands in the table, never "what comes after the last": a row with a smaller number may be
committed later. A row leaves by its own number, once the broker has it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

PAYLOAD_MAX_BYTES = 64 * 1024  # many times the largest event; nothing larger is taken into memory
STATEMENT_TIMEOUT_S = 30
HELD_MAX_S = 60  # a relay that hangs inside a batch loses its session, and the lock with it
COUNTED_MAX = 1_000_000  # a backlog beyond this is not counted further
MISSING = "make it: solve-producer outbox ddl"


class Row(NamedTuple):
    """A row that waits; `payload` is None where it is larger than PAYLOAD_MAX_BYTES."""

    seq: int
    type: str
    payload: str | None


class Refused(NamedTuple):
    """A row that is no event, and why."""

    seq: int
    reason: str


class Backlog(NamedTuple):
    """What is in the outbox: rows that wait, the age of the oldest, and rows that were refused."""

    rows: int
    oldest_s: float
    refused: int


class Outbox(ABC):
    """A connection to a judge's database. Each method raises SourceUnusable; then the connection is to be closed."""

    @abstractmethod
    def batch(self, limit: int) -> AbstractAsyncContextManager[list[Row] | None]:
        """Rows in their order, with the lock held until exit; None where another relay has the lock."""

    @abstractmethod
    async def settle(self, published: Sequence[int], refused: Sequence[Refused], *, keep: bool) -> None:
        """Inside a batch: deletes what was published, or with `keep` marks it; sets aside what was refused."""

    @abstractmethod
    async def backlog(self) -> Backlog:
        """Counts what waits."""

    @abstractmethod
    async def wait(self, timeout_s: float) -> None:
        """Returns after this time, or earlier where the database says that there are new rows."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the connection, and the lock with it."""
