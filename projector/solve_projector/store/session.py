"""Opens sessions of PostgreSQL whose limits hold, also through a connection pooler (I3).

The limits are statements, not start-up parameters, which PgBouncer refuses or drops. They are read back, and each
session is marked: a later transaction that finds no mark of ours runs on another server process, without limits.

A pooler greets a client by a process number of its own. With one, the first session of a process is spent on a test:
PostgreSQL ends it as soon as it is idle. If the pooler keeps one server process for each client (session mode), we lose
our connection with it; in transaction or statement mode we keep it, and are given another server process.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from io import BytesIO
from secrets import token_hex
from time import monotonic
from typing import Any

import asyncpg

from solve_projector.errors import PoolerUnsuitable
from solve_projector.store.revisions import migrations
from solve_runtime.sql import queries

SESSION_SQL = queries("solve_projector.store", "session")

MARK = token_hex(8)  # of this process
VERIFIED = (
    "search_path",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
)
CLOSE_TIMEOUT_S = 2.0
PROBE_IDLE_MS = 200
PROBE_WAIT_S = 0.5
SWITCHED_STATES = ("26000", "42P05")  # a prepared statement is missing, or another's: this is another server process
REMEDY = "connect directly, or use a pool in session mode (pool_mode = session)"

_keeping: set[str] = set()  # addresses whose pooler is in session mode


async def open_session(dsn: str, *, session: Mapping[str, str], **options: Any) -> asyncpg.Connection:
    """A connection with these settings in force. Raises PoolerUnsuitable, and asyncpg's errors."""
    async with asyncio.timeout(options["timeout"]):
        while True:
            connection = await _connected(dsn, **options)
            try:
                if await _begin(connection, session, trusted=dsn in _keeping):
                    connection.add_query_logger(partial(_end_if_switched, connection, dsn))
                    return connection
                if await _is_kept(connection):
                    _keeping.add(dsn)
            except BaseException:
                connection.terminate()
                raise
            await _close(connection)


def require_own_session(marks: Iterable[str | None]) -> None:
    """What `lock_offsets` found. Raises PoolerUnsuitable where our limits do not hold in this transaction."""
    if any(mark != MARK for mark in marks):
        raise PoolerUnsuitable(
            "this transaction runs without its limits: a pooler gave it another server process, or reset the session; "
            + REMEDY
        )


async def _connected(dsn: str, **options: Any) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, **options)
    except Exception:
        _keeping.discard(dsn)  # a pooler that was down may be back in another mode
        raise


def _end_if_switched(connection: asyncpg.Connection, dsn: str, asked: Any) -> None:
    """Ends a session that was given another server process, so that the pooler is tested again."""
    if getattr(asked.exception, "sqlstate", None) in SWITCHED_STATES:
        _keeping.discard(dsn)
        connection.terminate()


async def _begin(connection: asyncpg.Connection, session: Mapping[str, str], *, trusted: bool) -> bool:
    """Sets and verifies; False where a pooler must be tested first."""
    greeted_by = connection.get_server_pid()
    marks = {"solve.session": MARK, "solve.revision": max(migrations())}
    wanted = json.dumps({**session, **marks}).replace("'", "''")
    statement = SESSION_SQL["begin_session"].format(settings=f"'{wanted}'", trusted=trusted, greeted_by=greeted_by)
    found = json.loads(await _ask(connection, statement))
    if found["mark"]:
        raise PoolerUnsuitable(
            "a pooler in between gave us the session of another client as it was left; let it reset sessions "
            f"(server_reset_query = DISCARD ALL), and {REMEDY}"
        )
    if not trusted and found["pid"] != greeted_by:
        return False
    in_force = found["in_force"] or {}
    if missing := [name for name in VERIFIED if in_force.get(name) != session[name]]:
        raise PoolerUnsuitable(f"the server does not keep these settings of a session: {', '.join(missing)}; {REMEDY}")
    return True


async def _is_kept(connection: asyncpg.Connection) -> bool:
    """Whether the pooler keeps one server process for this client; False where that is not certain yet.

    An end that comes with the answer shows nothing: a pooler that reads both at once has had no time to take the server
    process back.
    """
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    statement = SESSION_SQL["begin_probe"].format(idle_ms=PROBE_IDLE_MS)
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # it ended while we asked: test again
        first, answered_at = await _ask(connection, statement), monotonic()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), PROBE_WAIT_S)
                return monotonic() - answered_at > PROBE_IDLE_MS / 2000
            if await _ask(connection, SESSION_SQL["server_process"]) != first:
                raise PoolerUnsuitable(f"a pooler in transaction or statement mode is in between; {REMEDY}")
            answered_at = monotonic()
    return False


async def _ask(connection: asyncpg.Connection, statement: str) -> bytes:
    found = BytesIO()
    await connection.copy_from_query(statement, output=found)
    return found.getvalue()


async def _close(connection: asyncpg.Connection) -> None:
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.close(timeout=CLOSE_TIMEOUT_S)
