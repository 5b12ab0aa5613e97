"""Tables in MySQL or MariaDB, read by PyMySQL in a thread.

A TIMESTAMP is a moment and read in UTC; a DATETIME has no zone, and a date of zeros is no time. A column BINARY(16) is
a UUID in the order of its text; any other binary text is UTF-8. A page is as of one moment where the engine has
snapshots (InnoDB).
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self
from uuid import UUID

import pymysql
from pymysql.constants import FIELD_TYPE

from solve_sources.databases.mysql import MySqlConnection, is_refusal, words_of
from solve_sources.errors import SourceUnusable
from solve_sources.tables.sessions import Row
from solve_sources.tables.settings import SOURCE_DATABASE
from solve_sources.tables.source import TEXTS, TableSource

UUID_BYTES = 16
ZERO_DATE = "0000-00-00"
TIMES = frozenset(("completed_at", "submitted_at", "registered_at"))
PREPARATIONS = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)

Described = tuple[str, int]  # a column's name and type


class MySqlTables(TableSource):
    """A connection to MySQL or MariaDB."""

    quote: ClassVar[str] = "`"

    def __init__(self, connection: MySqlConnection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, address: str) -> Self:
        """Raises SourceUnusable, without the password."""
        return cls(await MySqlConnection.connect(address, SOURCE_DATABASE, PREPARATIONS))

    async def close(self) -> None:
        await self._connection.close()

    async def columns(self, select: str) -> frozenset[str]:
        described, _ = await self._fetch(f"SELECT * FROM ({select}\n) AS source LIMIT 0")  # noqa: S608 - see `select_of`
        return frozenset(name for name, _ in described)

    async def key_of(self, select: str, text: str) -> Any:
        described, rows = await self._fetch(f"SELECT `key` FROM ({select}\n) AS source LIMIT 1")  # noqa: S608
        if not rows:
            return text
        value, kind = rows[0][0], described[0][1]
        try:
            if isinstance(value, int):
                return int(text)
            if _is_uuid(value, kind):
                return UUID(text).bytes
        except ValueError:
            raise SourceUnusable(f'--after "{text}" is not a key such as {_text(value, kind)}') from None
        _require_key(value)
        return text.encode() if isinstance(value, bytes) else text

    async def rows(self, select: str, columns: list[str], after: Any, limit: int) -> list[Row]:
        given = ", ".join(f"`{name}`" for name in ("key", *columns))
        where = "" if after is None else "WHERE `key` > %s"
        described, rows = await self._fetch(
            f"SELECT {given} FROM ({select.replace('%', '%%')}\n) AS source {where} ORDER BY `key` LIMIT %s",  # noqa: S608
            *([] if after is None else [after]),
            limit,
        )
        return [_row(described, row) for row in rows]

    async def _fetch(self, statement: str, *values: Any) -> tuple[list[Described], list[tuple[Any, ...]]]:
        def fetch() -> tuple[list[Described], list[tuple[Any, ...]]]:
            with self._connection.client.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                cursor.execute(statement, values or None)
                described = [(one[0].lower(), one[1]) for one in cursor.description or ()]
                rows = list(cursor.fetchall())
                cursor.execute("COMMIT")
            return described, rows

        try:
            return await self._connection.in_thread(fetch)
        except (pymysql.OperationalError, pymysql.InterfaceError, OSError) as error:
            if is_refusal(error):
                raise _refused(error) from error
            raise SourceUnusable(f"the connection to the source database was lost: {words_of(error)}") from error
        except (pymysql.MySQLError, UnicodeDecodeError) as error:
            raise _refused(error) from error


def _row(described: list[Described], values: tuple[Any, ...]) -> dict[str, Any]:
    key, kind = values[0], described[0][1]
    _require_key(key)
    row = {"key": key, "key_text": _text(key, kind)}
    for (name, kind), value in zip(described[1:], values[1:], strict=True):
        row[name] = (
            _text(value, kind) if name in TEXTS else _time(value, kind) if name in TIMES else _plain(value, kind)
        )
    return row


def _require_key(value: Any) -> None:
    if value is not None and not isinstance(value, int | str | bytes):
        raise SourceUnusable(f"the key is a {type(value).__name__}; it must be an integer, text or binary(16)")


def _is_uuid(value: Any, kind: int) -> bool:
    return isinstance(value, bytes) and kind == FIELD_TYPE.STRING and len(value) == UUID_BYTES


def _text(value: Any, kind: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if _is_uuid(value, kind):
        return str(UUID(bytes=value))
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _time(value: Any, kind: int) -> Any:
    if isinstance(value, str) and value.startswith(ZERO_DATE):
        return None
    if isinstance(value, datetime) and kind == FIELD_TYPE.TIMESTAMP:
        return value.replace(tzinfo=UTC)
    return value


def _plain(value: Any, kind: int) -> Any:
    if isinstance(value, bytes):
        return int.from_bytes(value) if kind == FIELD_TYPE.BIT else value.decode(errors="backslashreplace")
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


def _refused(error: BaseException) -> SourceUnusable:
    return SourceUnusable(
        f"the source database says: {words_of(error)}; name the table and its columns by the options, or give a query"
    )
