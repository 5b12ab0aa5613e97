"""Tables in MySQL or MariaDB, read by PyMySQL in a thread.

A TIMESTAMP is a moment and read in UTC; a DATETIME has no zone, and a date of zeros is no time. A column BINARY(16) is
a UUID in the order of its text; any other binary text is UTF-8. A page is as of one moment where the engine has
snapshots (InnoDB).
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

import pymysql
from pymysql.constants import FIELD_TYPE

from solve_runtime.addresses import MySqlPlace, mysql_place
from solve_sources.errors import SourceUnusable
from solve_sources.tables.sessions import Row
from solve_sources.tables.source import TEXTS, TableSource

CONNECT_TIMEOUT_S = 10
UUID_BYTES = 16
ZERO_DATE = "0000-00-00"
TIMES = frozenset(("completed_at", "submitted_at", "registered_at"))
PREPARATIONS = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)

Found = TypeVar("Found")
Described = tuple[str, int]  # a column's name and type


class MySqlTables(TableSource):
    """A connection to MySQL or MariaDB."""

    quote: ClassVar[str] = "`"

    def __init__(self, connection: "pymysql.Connection[Any]", line: socket.socket) -> None:
        """`line` is the connection's socket, to be shut where a statement has to end at once."""
        self._connection = connection
        self._line = line

    @classmethod
    async def connect(cls, address: str) -> Self:
        """Raises SourceUnusable, without the password."""
        place = mysql_place(address)
        unusable = f"cannot connect to the source database at {place.shown}"
        try:
            return cls(*await asyncio.to_thread(_connected, place))
        except (pymysql.MySQLError, OSError) as error:
            check = "SOURCE_DATABASE_URL and the server"
            original = getattr(error, "original_exception", error)
            if isinstance(original, ssl.SSLCertVerificationError):
                check = "that ssl-ca in SOURCE_DATABASE_URL names the authority of the server's certificate"
            raise SourceUnusable(f"{unusable}: {_words(error)}; check {check}") from error

    async def close(self) -> None:
        with suppress(pymysql.MySQLError, OSError):
            await asyncio.to_thread(self._connection.close)
        self._line.close()

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
            with self._connection.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                cursor.execute(statement, values or None)
                described = [(one[0].lower(), one[1]) for one in cursor.description or ()]
                rows = list(cursor.fetchall())
                cursor.execute("COMMIT")
            return described, rows

        try:
            return await self._in_thread(fetch)
        except (pymysql.OperationalError, pymysql.InterfaceError, OSError) as error:
            if _is_refusal(error):
                raise _refused(error) from error
            raise SourceUnusable(f"the connection to the source database was lost: {_words(error)}") from error
        except (pymysql.MySQLError, UnicodeDecodeError) as error:
            raise _refused(error) from error

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        """Where the caller is cancelled, the statement ends: the thread would wait for it."""
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)
            await asyncio.wait([running])
            running.exception()
            raise


def _connected(place: MySqlPlace) -> "tuple[pymysql.Connection[Any], socket.socket]":
    if place.socket is not None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(CONNECT_TIMEOUT_S)
        line.connect(place.socket)
    else:
        line = socket.create_connection((place.host, place.port), CONNECT_TIMEOUT_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    ours = line.dup()  # TLS takes the other
    connection = pymysql.Connection(
        host=place.host,
        port=place.port,
        user=place.user or None,
        password=place.password.encode(),  # the client would write text in latin-1
        database=place.database or None,
        charset="utf8mb4",
        program_name="solve-producer import",
        defer_connect=True,
        **_tls(place),
    )
    try:
        connection.connect(line)
        with connection.cursor() as cursor:
            for statement in PREPARATIONS:
                cursor.execute(statement)
    except BaseException:
        ours.close()
        raise
    return connection, ours


def _tls(place: MySqlPlace) -> dict[str, Any]:
    """In the words of MySQL's own clients; without a mode, encrypted where the server can."""
    mode = place.ssl_mode or ("verify_ca" if place.ssl_ca else "required" if place.ssl_cert else "preferred")
    if mode in {"preferred", "disabled"}:
        return {"ssl_disabled": mode == "disabled"}
    context = ssl.create_default_context(cafile=place.ssl_ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the authority that MySQL makes for itself does not pass
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    if place.ssl_cert:
        context.load_cert_chain(place.ssl_cert, place.ssl_key)
    return {"ssl": context}


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


def _is_refusal(error: BaseException) -> bool:
    """Whether the server said it of a statement; codes from 2000 to 2999 are the client's own."""
    code = error.args[0] if error.args else None
    return isinstance(code, int) and 1000 < code < 2000 and not isinstance(error, OSError)


def _refused(error: BaseException) -> SourceUnusable:
    return SourceUnusable(
        f"the source database says: {_words(error)}; name the table and its columns by the options, or give a query"
    )


def _words(error: BaseException) -> str:
    """Without the code that the client puts first."""
    said = error.args[-1] if isinstance(error, pymysql.MySQLError) and error.args else error
    return str(said) or type(error).__name__
