"""The outbox in MySQL or MariaDB: a lock by name (GET_LOCK), which belongs to the session, and polling.

No transaction is open while rows are published, and none locks a gap that a judge inserts into (READ COMMITTED).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import pymysql
from pymysql.constants import ER

from solve_runtime.sql import queries
from solve_sources.databases.mysql import MySqlConnection, is_refusal, words_of
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

PREPARATIONS = (
    "SET SESSION autocommit = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION wait_timeout = {HELD_MAX_S}",
)
SQL = queries(__package__, "mysql")


class MySqlOutbox(Outbox):
    """A connection to MySQL or MariaDB."""

    def __init__(self, connection: MySqlConnection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, address: str) -> Self:
        """Raises SourceUnusable, without the password."""
        return cls(await MySqlConnection.connect(address, OUTBOX_DATABASE, PREPARATIONS, STATEMENT_TIMEOUT_S))

    @asynccontextmanager
    async def batch(self, limit: int) -> AsyncIterator[list[Row] | None]:
        ((locked,),) = await self._run("lock")
        if locked != 1:
            yield None
            return
        try:
            yield [Row(*row) for row in await self._run("read", PAYLOAD_MAX_BYTES, limit)]
        except BaseException:
            with suppress(SourceUnusable):  # the session may be gone, and the lock with it
                await self._run("unlock")
            raise
        await self._run("unlock")

    async def settle(self, published: Sequence[int], refused: Sequence[Refused], *, keep: bool) -> None:
        if published:
            await self._run("keep" if keep else "delete", list(published))
        for row in refused:
            await self._run("refuse", row.reason, row.seq)

    async def backlog(self) -> Backlog:
        ((rows, oldest_s, refused),) = await self._run("backlog", COUNTED_MAX, COUNTED_MAX)
        return Backlog(rows, float(oldest_s), refused)

    async def wait(self, timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)

    async def close(self) -> None:
        await self._connection.close()

    async def _run(self, name: str, *values: Any) -> list[tuple[Any, ...]]:
        def run() -> list[tuple[Any, ...]]:
            with self._connection.client.cursor() as cursor:
                cursor.execute(SQL[name], values or None)
                return list(cursor.fetchall())

        try:
            return await self._connection.in_thread(run)
        except (pymysql.MySQLError, OSError) as error:
            raise _in_words(error) from error


def _in_words(error: BaseException) -> SourceUnusable:
    if isinstance(error, pymysql.MySQLError) and error.args[:1] == (ER.NO_SUCH_TABLE,):
        return SourceUnusable(f"the database has no table solve_outbox; {MISSING} --for mysql")
    if is_refusal(error):
        return SourceUnusable(f"the outbox's database says: {words_of(error)}; check the grants and the server")
    return SourceUnusable(f"the connection to the outbox's database was lost: {words_of(error)}")
