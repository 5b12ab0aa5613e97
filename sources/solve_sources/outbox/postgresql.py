"""The outbox in PostgreSQL: an advisory lock of the transaction, and LISTEN beside polling.

A lock of the transaction, and not of the session, because it works through a pooler too. FOR UPDATE SKIP LOCKED would
let two relays publish rows of one user at the same time, in any order.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Self

import asyncpg

from solve_runtime.sql import queries
from solve_sources.databases.postgresql import connect
from solve_sources.errors import SourceUnusable
from solve_sources.outbox.settings import OUTBOX_DATABASE
from solve_sources.outbox.table import (
    COUNTED_MAX,
    HELD_MAX_S,
    MISSING,
    PAYLOAD_MAX_BYTES,
    STATEMENT_TIMEOUT_S,
    Backlog,
    Outbox,
    Refused,
    Row,
)

CHANNEL = "solve_outbox"
SQL = queries(__package__, "postgresql")


class PostgreSqlOutbox(Outbox):
    """A connection to PostgreSQL."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._notified = asyncio.Event()

    @classmethod
    async def connect(cls, address: str) -> Self:
        """Raises SourceUnusable, without the password."""
        made = cls(await connect(address, OUTBOX_DATABASE, STATEMENT_TIMEOUT_S))
        try:
            with _in_words():
                await made._connection.add_listener(CHANNEL, made._on_notification)
        except BaseException:
            made._connection.terminate()
            raise
        return made

    @asynccontextmanager
    async def batch(self, limit: int) -> AsyncIterator[list[Row] | None]:
        with _in_words():
            async with self._connection.transaction():
                if not await self._connection.fetchval(SQL["lock"], f"{HELD_MAX_S}s"):
                    yield None
                    return
                # a statement of its own, so that it sees what the relay before us committed
                yield [Row(*row) for row in await self._connection.fetch(SQL["read"], limit, PAYLOAD_MAX_BYTES)]

    async def settle(self, published: Sequence[int], refused: Sequence[Refused], *, keep: bool) -> None:
        if published:
            await self._connection.execute(SQL["keep" if keep else "delete"], published)
        if refused:
            seqs, reasons = zip(*refused, strict=True)
            await self._connection.execute(SQL["refuse"], seqs, reasons)

    async def backlog(self) -> Backlog:
        with _in_words():
            (found,) = await self._connection.fetch(SQL["backlog"], COUNTED_MAX)
            return Backlog(*found)

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._notified.wait()
        self._notified.clear()

    async def close(self) -> None:
        with suppress(TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await self._connection.close(timeout=1)

    def _on_notification(self, *_: Any) -> None:
        self._notified.set()


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise SourceUnusable(f"the database has no table solve_outbox; {MISSING} --for postgresql") from error
    except asyncpg.PostgresError as error:
        raise SourceUnusable(f"the outbox's database says: {error}; check the grants and the server") from error
    except (asyncpg.InterfaceError, TimeoutError, OSError) as error:
        said = str(error) or type(error).__name__
        raise SourceUnusable(f"the connection to the outbox's database was lost: {said}") from error
