"""Tables in PostgreSQL, also through a pooler, which may give each transaction another session."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self
from uuid import UUID

import asyncpg

from solve_sources.databases.postgresql import connect
from solve_sources.errors import SourceUnusable
from solve_sources.tables.sessions import Row
from solve_sources.tables.settings import SOURCE_DATABASE
from solve_sources.tables.source import TEXTS, TableSource

KEY_TYPES: dict[str, Callable[[str], Any]] = {"int2": int, "int4": int, "int8": int, "uuid": UUID, "text": str}
KEY_TYPES |= {"varchar": str, "bpchar": str}


class PostgreSqlTables(TableSource):
    """A connection to PostgreSQL."""

    quote: ClassVar[str] = '"'

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, address: str) -> Self:
        """Raises SourceUnusable, without the password."""
        return cls(await connect(address, SOURCE_DATABASE))

    async def close(self) -> None:
        await self._connection.close()

    async def columns(self, select: str) -> frozenset[str]:
        return frozenset(await self._types(select))

    async def key_of(self, select: str, text: str) -> Any:
        kind = (await self._types(select)).get("key", "")
        if kind not in KEY_TYPES:
            raise SourceUnusable(f"the key is of type {kind or 'none'}; it must be an integer, a uuid or text")
        try:
            return KEY_TYPES[kind](text)
        except ValueError:
            raise SourceUnusable(f'--after "{text}" is not a key of type {kind}') from None

    async def rows(self, select: str, columns: list[str], after: Any, limit: int) -> list[Row]:
        given = ", ".join(
            [
                "key",
                "key::text AS key_text",
                *(f"{name}::text AS {name}" if name in TEXTS else name for name in columns),
            ]
        )
        where = "" if after is None else "WHERE key > $2"
        async with self._reading():
            rows = await self._connection.fetch(
                f"SELECT {given} FROM ({select}\n) AS source {where} ORDER BY key LIMIT $1",  # noqa: S608 - see `select_of`
                limit,
                *([] if after is None else [after]),
            )
        return [dict(row) for row in rows]

    async def _types(self, select: str) -> dict[str, str]:
        async with self._reading():
            plain = await self._connection.prepare(f"SELECT * FROM ({select}\n) AS source LIMIT 0", name="")  # noqa: S608
            return {one.name: one.type.name for one in plain.get_attributes()}

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        try:
            async with self._connection.transaction(readonly=True):
                await self._connection.execute("SET LOCAL timezone = 'UTC'")
                yield
        except asyncpg.PostgresError as error:
            raise SourceUnusable(
                f"the source database says: {error}; name the table and its columns by the options, or give a query"
            ) from error
        except (asyncpg.InterfaceError, OSError) as error:
            raise SourceUnusable(f"the connection to the source database was lost: {error}") from error
