"""Connects to PostgreSQL, and tells its failures apart by what a caller must do.

Limits on each session keep a writer that stops inside a transaction from holding its locks for longer than
seconds (I3): the server ends an idle transaction, notices a client that is gone, and no lock is waited for long.
Between the messages of one statement (asyncpg prepares, flushes, then binds) a stopped writer is not idle but active,
and there only `transaction_timeout` ends it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any

import asyncpg
import asyncpg.pool

from solve_projector.errors import DatabaseUnavailable, PoolerUnsuitable, ProjectorError, SettingsError
from solve_projector.settings import ProjectorSettings
from solve_projector.store.session import REMEDY, SWITCHED_STATES, open_session
from solve_runtime.addresses import database_place

# a connection of a pool is a proxy
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 120.0
LOCK_TIMEOUT_MS = 15_000
POOL_SIZE = 4

# What asyncpg raises. Its internal error too: a process that was stopped meets the end of its session mid-message.
DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    EOFError,
    PoolerUnsuitable,  # by a pool, when it connects
)

# SQLSTATE classes and codes: PostgreSQL manual, appendix A.
DATA_CLASSES = ("22", "23", "54")
TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "58", "XX")
CORRUPTION_STATES = ("XX001", "XX002")  # a table or an index is damaged: trying again makes it worse
# idle transaction ended; not (yet) the primary; a pooler in between switched, whose mode the next session tests
TRANSIENT_STATES = ("25P03", "25P04", "25006", *SWITCHED_STATES)
DENIED_STATE = "42501"  # the role lacks a permission
MISSING_STATES = ("42P01", "42703", "3F000")  # no such table, column or schema


GRANTS = "grant it to the role of DATABASE_URL: docs/operations.md, Database roles"


class Failure(Enum):
    """What a caller must do about a failed transaction."""

    DATA = auto()  # a record of the batch is refused: halve it
    TRANSIENT = auto()  # perhaps committed: read the offsets again and rebuild the batch
    FINAL = auto()  # somebody must act


def classify(error: BaseException) -> Failure:
    """Classifies by SQLSTATE; a client-side encoding error counts as data."""
    if isinstance(error, asyncpg.DataError):  # also the client's, for a value it cannot encode
        return Failure.DATA
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state[:2] in DATA_CLASSES:
            return Failure.DATA
        if (state[:2] in TRANSIENT_CLASSES or state in TRANSIENT_STATES) and not is_corruption(error):
            return Failure.TRANSIENT
        return Failure.FINAL
    if isinstance(error, DATABASE_ERRORS) and not isinstance(error, PoolerUnsuitable):
        return Failure.TRANSIENT
    return Failure.FINAL


def is_corruption(error: BaseException) -> bool:
    """Whether PostgreSQL found its own data damaged."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in CORRUPTION_STATES


def first_of(error: BaseException) -> BaseException:
    """The error that ended the connection, if asyncpg only says that it cannot leave a transaction."""
    while isinstance(error, asyncpg.InterfaceError) and error.__context__ is not None:
        error = error.__context__
    return error


def sqlstate_of(error: BaseException) -> str:
    """PostgreSQL's code of the first cause; "none" where no server said one."""
    return getattr(first_of(error), "sqlstate", None) or "none"


def took_too_long(error: BaseException) -> bool:
    """Whether PostgreSQL ended the connection over SOLVE_TRANSACTION_TIMEOUT_MS.

    PgBouncer keeps the reason to itself, so any session that ends inside a transaction there may be one: whoever
    halves a batch for nothing loses little.
    """
    said = str(first_of(error))
    return "transaction timeout" in said or "server conn crashed" in said


def is_denied(error: BaseException | None) -> bool:
    """Whether the role lacks a permission."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == DENIED_STATE


def said_of(error: BaseException) -> str:
    """The first cause for people, with the setting that can help."""
    first = first_of(error)
    said = str(first) or ("no answer in time" if isinstance(first, TimeoutError) else type(first).__name__)
    if took_too_long(error):
        return f"{said} (SOLVE_TRANSACTION_TIMEOUT_MS; raise it where this machine needs longer)"
    if isinstance(first, ssl.SSLCertVerificationError):
        said += " (DATABASE_SSL_CAFILE must name the authority of the server's certificate)"
    if isinstance(first, asyncpg.LockNotAvailableError):
        return f"{said}: another session holds a lock"
    if sqlstate_of(first) in SWITCHED_STATES:
        return f"a pooler in between gave this session another server process; {REMEDY}"
    if is_denied(first):
        return f"{said} ({GRANTS})"
    if isinstance(first, asyncpg.PostgresError) and first.sqlstate in MISSING_STATES:
        return f"{said} (the tables are not those of this version; create or upgrade them with: solve-projector setup)"
    return said


def explain(error: BaseException) -> str | None:
    """What an operator can do about an error of PostgreSQL that ended a command; None where it is another's error."""
    if not isinstance(error, DATABASE_ERRORS) or (isinstance(error, OSError) and error.filename):
        return None
    said = said_of(error)
    if isinstance(error, asyncpg.LockNotAvailableError):
        return f"PostgreSQL: {said}; wait until it ends, then run the same command again"
    if classify(error) is Failure.TRANSIENT:
        return f"PostgreSQL ended the connection: {said}; run the same command again"
    return f"PostgreSQL refuses this: {said}; correct that and run the same command again"


def is_unavailable(error: BaseException) -> bool:
    """Whether PostgreSQL does not serve us; a refused statement counts as an answer."""
    if not isinstance(error, asyncpg.PostgresError):
        return True
    state = error.sqlstate or ""
    return state[:2] in ("08", "53") or state[:3] == "57P" or state == "25006"


# A replay's statements are few and long, and planned for their arguments; its transactions wait for Kafka.
REPLAY_SESSION = {
    "application_name": "solve-projector replay",
    "plan_cache_mode": "auto",
    "enable_seqscan": "on",
    "work_mem": "128MB",
    # sorts and joins of the whole log, on all cores
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "maintenance_work_mem": "256MB",
    "idle_in_transaction_session_timeout": "60000",
    "statement_timeout": "0",
    "transaction_timeout": "0",  # set again by its transactions that lock what live projection needs
}

# The server must not end a migration while this process waits for its turn, or for a processor.
SETUP_SESSION = {
    "application_name": "solve-projector setup",
    "idle_in_transaction_session_timeout": "60000",  # ends a `setup` that was frozen; waiting for the lock is not idle
    "lock_timeout": "0",  # set by the migration once it is its turn
    "statement_timeout": "0",
    "transaction_timeout": "0",
}


def connect_options(settings: ProjectorSettings) -> dict[str, Any]:
    """Keyword arguments for `open_session`. Raises SettingsError on an unusable CA file."""
    options: dict[str, Any] = {
        "dsn": settings.database_url.get_secret_value(),
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "max_cached_statement_lifetime": 0,  # a connection prepares a statement once, not every five minutes
        "session": {
            "application_name": "solve-projector",
            "search_path": f"{settings.database_schema},pg_catalog",
            "timezone": "UTC",
            "jit": "off",
            # planning a large batch again costs more than it gains; but a plan made while a table was empty must not
            # scan all of it for ever
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "work_mem": "64MB",
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(settings.transaction_idle_timeout_ms),
            "statement_timeout": str(int(COMMAND_TIMEOUT_S * 1000)),
            "transaction_timeout": str(settings.transaction_timeout_ms),
            "client_connection_check_interval": "2000",
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
            "tcp_user_timeout": "15000",
        },
    }
    if settings.database_ssl_cafile:
        try:
            options["ssl"] = ssl.create_default_context(cafile=settings.database_ssl_cafile)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"cannot use DATABASE_SSL_CAFILE {settings.database_ssl_cafile}: {error}") from error
    return options


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Skips asyncpg's reset between uses, which would undo the limits and cost a round trip."""


def pool_options(settings: ProjectorSettings) -> dict[str, Any]:
    """Keyword arguments for a pool whose connections are made by `open_session`."""
    return connect_options(settings) | {"connect": open_session, "reset": _keep_session}


async def connect(settings: ProjectorSettings, *, replay: bool = False, setup: bool = False) -> asyncpg.Connection:
    """One connection, with the limits of a replay or of a migration where it is for one. Raises DatabaseUnavailable."""
    options = connect_options(settings)
    if session := REPLAY_SESSION if replay else SETUP_SESSION if setup else None:
        options["session"] |= session
        options["command_timeout"] = None
    try:
        return await open_session(**options)
    except (*DATABASE_ERRORS, ValueError) as error:
        raise _unavailable(settings, error) from _cause(error)


@asynccontextmanager
async def open_pool(settings: ProjectorSettings, *, lazily: bool = False) -> AsyncIterator[asyncpg.Pool]:
    """The process's connections; closed on exit, forcibly if PostgreSQL does not answer.

    Raises DatabaseUnavailable where there is no connection to begin with; `lazily`, connects when first used.
    """
    fewest = 0 if lazily else 1
    pool = asyncpg.create_pool(**pool_options(settings), min_size=fewest, max_size=POOL_SIZE)
    async with closing_pool(pool, settings):
        yield pool


@asynccontextmanager
async def closing_pool(pool: asyncpg.Pool, settings: ProjectorSettings) -> AsyncIterator[None]:
    """Opens a pool, and closes it on exit, by force if PostgreSQL no longer answers."""
    try:
        await pool
    except (*DATABASE_ERRORS, ValueError) as error:
        raise _unavailable(settings, error) from _cause(error)
    try:
        yield
    finally:
        try:
            await asyncio.wait_for(pool.close(), timeout=5)
        except TimeoutError:
            pool.terminate()


def _unavailable(settings: ProjectorSettings, error: BaseException) -> ProjectorError:
    if isinstance(error, PoolerUnsuitable):
        return error
    where = database_place(settings.database_url.get_secret_value())
    if _may_quote(error):
        return SettingsError(f"DATABASE_URL cannot be used for {where}: correct its parameters, such as sslmode")
    said = said_of(error)
    return DatabaseUnavailable(f"cannot connect to PostgreSQL at {where}: {said}; check DATABASE_URL and the server")


def _cause(error: BaseException) -> BaseException | None:
    """What may be shown as the cause."""
    return None if _may_quote(error) or isinstance(error, PoolerUnsuitable) else error


def _may_quote(error: BaseException) -> bool:
    """Whether it is the client's own about the address; a certificate that is refused is a ValueError too."""
    return isinstance(error, ValueError) and not isinstance(error, OSError)
