"""A connection to MySQL or MariaDB, whose statements PyMySQL runs in a thread."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self, TypeVar

import pymysql

from solve_runtime.addresses import MySqlPlace, mysql_place
from solve_sources.databases.names import Named
from solve_sources.errors import SourceUnusable

CONNECT_TIMEOUT_S = 10

Found = TypeVar("Found")


class MySqlConnection:
    """A connection, and its socket, to be shut where a statement has to end at once."""

    def __init__(self, client: "pymysql.Connection[Any]", line: socket.socket) -> None:
        self.client = client
        self._line = line

    @classmethod
    async def connect(
        cls, address: str, named: Named, preparations: Iterable[str], timeout_s: int | None = None
    ) -> Self:
        """A statement that takes longer than `timeout_s` fails. Raises SourceUnusable, without the password."""
        place = mysql_place(address)
        unusable = f"cannot connect to {named.what} at {place.shown}"
        try:
            return cls(*await asyncio.to_thread(_connected, place, named.program, preparations, timeout_s))
        except (pymysql.MySQLError, OSError) as error:
            check = f"{named.variable} and the server"
            original = getattr(error, "original_exception", error)
            if isinstance(original, ssl.SSLCertVerificationError):
                check = f"that ssl-ca in {named.variable} names the authority of the server's certificate"
            raise SourceUnusable(f"{unusable}: {words_of(error)}; check {check}") from error

    async def close(self) -> None:
        """Ends the connection."""
        with suppress(pymysql.MySQLError, OSError):
            await asyncio.to_thread(self.client.close)
        self._line.close()

    async def in_thread(self, work: Callable[[], Found]) -> Found:
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


def words_of(error: BaseException) -> str:
    """Without the code that the client puts first."""
    said = error.args[-1] if isinstance(error, pymysql.MySQLError) and error.args else error
    return str(said) or type(error).__name__


def is_refusal(error: BaseException) -> bool:
    """Whether the server said it of a statement; codes from 2000 to 2999 are the client's own."""
    code = error.args[0] if error.args else None
    return isinstance(code, int) and 1000 < code < 2000 and not isinstance(error, OSError)


def _connected(
    place: MySqlPlace, program: str, preparations: Iterable[str], timeout_s: int | None
) -> "tuple[pymysql.Connection[Any], socket.socket]":
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
        program_name=program,
        read_timeout=timeout_s,
        write_timeout=timeout_s,
        defer_connect=True,
        **_tls(place),
    )
    try:
        connection.connect(line)
        with connection.cursor() as cursor:
            for statement in preparations:
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
