"""Imports a platform's own table of attempts: reads it in key order, a page at a time, and publishes each page.

The broker has confirmed a page before the next is read, so an import that ended early continues after its last key,
in bounded memory. Nothing is written to the source: each page is a read-only transaction, also through a pooler, which
may give each transaction another session.
"""

import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from solve_producer.client import SolveProducer
from solve_producer.errors import ProducerError
from solve_runtime.addresses import DatabaseAddress, database_place, unverifiable
from solve_runtime.settings import Settings
from solve_schemas.record import EncodedRecord
from solve_sources.errors import BadRow, ImportStopped, SourceUnusable
from solve_sources.tables.sessions import Row, TimeRules, record_of_session, record_of_user

if TYPE_CHECKING:
    import asyncpg

PAGE_ROWS = 5_000
BAD_ROWS_KEPT = 1_000
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
KEY_TYPES: dict[str, Callable[[str], Any]] = {"int2": int, "int4": int, "int8": int, "uuid": UUID, "text": str}
KEY_TYPES |= {"varchar": str, "bpchar": str}


class SourceSettings(Settings):
    """The platform's database; read from the environment, `.env` and `/run/secrets` only (I12)."""

    source_database_url: DatabaseAddress = Field(description="The platform's database, as a role that may only read.")

    @model_validator(mode="after")
    def _authorities_are_named(self) -> Self:
        if said := unverifiable(self.source_database_url.get_secret_value()):
            raise ValueError(f"SOURCE_DATABASE_URL {said}")
        return self


@dataclass(frozen=True, slots=True)
class Sessions:
    """Which table and columns hold the attempts, or a `query` that gives them under the names used here."""

    table: str = "problem_sessions"
    key: str = "id"
    user_id: str = "user_id"
    problem_id: str = "problem_id"
    completed: str = "completed"
    completed_at: str = "completed_at"
    submission_id: str | None = None
    language: str | None = None
    contest_id: str | None = None
    revision: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """Which table and columns hold the users, or a `query` that gives `key`, `username`, `registered_at`."""

    table: str = "users"
    key: str = "id"
    username: str = "username"
    registered_at: str = "created_at"
    query: str | None = None


def select_of(source: Sessions | Users) -> str:
    """Selects `key` and the event's fields; nothing given as a name is unquoted. Raises SourceUnusable."""
    named = asdict(source)
    table, query = named.pop("table"), named.pop("query")
    if query:
        return str(query).strip().rstrip(";")
    columns = ", ".join(f"{quoted(column)} AS {name}" for name, column in named.items() if column)
    return f"SELECT {columns} FROM {quoted(table)}"  # noqa: S608 - names checked and quoted


@dataclass(slots=True)
class Imported:
    """What an import did; `last_key` is the last attempt that the broker has confirmed."""

    users: int = 0
    solved: int = 0
    not_completed: int = 0
    invalid: int = 0
    last_key: str | None = None
    bad_rows: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Import:
    """What to import, and how."""

    sessions: Sessions = field(default_factory=Sessions)
    users: Users | None = field(default_factory=Users)
    times: TimeRules = field(default_factory=TimeRules)
    after: str | None = None
    skip_invalid: bool = False
    page_rows: int = PAGE_ROWS


Publish = Callable[[list[EncodedRecord]], Any]


async def import_sessions(wanted: Import, settings: SourceSettings, publish: Publish, done: Imported) -> None:
    """Users first, then attempts; `publish` returns once the broker has a page. `done` is kept up to date.

    Raises SourceUnusable, and ImportStopped, whose message says after which key to go on.
    """
    done.last_key = wanted.after
    source = await connect(settings)
    try:
        if wanted.users:
            async for page in pages(source, select_of(wanted.users), ("username",), None, wanted.page_rows):
                records = _records(page, record_of_user, wanted, done)
                await publish(records)
                done.users += len(records)
        texts = ("user_id", "problem_id", "submission_id", "language", "contest_id")
        async for page in pages(source, select_of(wanted.sessions), texts, wanted.after, wanted.page_rows):
            records = _records(page, record_of_session, wanted, done)
            await publish(records)
            done.solved += len(records)
            done.last_key = page[-1]["key_text"]
    except ProducerError as error:
        raise ImportStopped(f"{error}; {where_to_go_on(done)}") from error
    finally:
        await source.close()


def publisher(producer: SolveProducer, bar: Callable[[int], None]) -> Publish:
    """Sends a page, and waits until the broker has all of it."""

    async def each(records: list[EncodedRecord]) -> AsyncIterator[EncodedRecord]:
        for record in records:
            yield record

    async def publish(records: list[EncodedRecord]) -> None:
        await producer.publish_records(each(records))
        bar(len(records))

    return publish


def quoted(name: str) -> str:
    """A table's or column's name, quoted; `schema.table` has two. Raises SourceUnusable on anything else."""
    parts = name.split(".")
    if len(parts) > 2 or not all(IDENTIFIER.fullmatch(part) for part in parts):
        raise SourceUnusable(f'"{name}" is not the name of a table or column; use letters, digits and _, or --query')
    return ".".join(f'"{part}"' for part in parts)


def require_client() -> None:
    """Raises SourceUnusable where PostgreSQL's client is not installed."""
    if find_spec("asyncpg") is None:
        raise SourceUnusable("needs the extra `import`; install it: pip install 'solve-counts[import]'")


async def connect(settings: SourceSettings) -> "asyncpg.Connection":
    """A connection, to be used by `_reading` alone. Raises SourceUnusable, without the password."""
    import asyncpg

    address = settings.source_database_url.get_secret_value()
    unusable = f"cannot connect to the source database at {database_place(address)}"
    try:
        return await asyncpg.connect(
            address,
            timeout=10,
            statement_cache_size=0,  # a pooler may give the next transaction a session without them
            server_settings={"application_name": "solve-producer import"},  # the one that poolers accept
        )
    except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        if isinstance(error, ValueError) and not isinstance(error, OSError):  # it may quote the address
            wrong = "correct the parameters in SOURCE_DATABASE_URL, such as sslmode"
            raise SourceUnusable(f"{unusable}: {wrong}") from None
        said = str(error) or type(error).__name__
        check = "SOURCE_DATABASE_URL and the server"
        if isinstance(error, ssl.SSLCertVerificationError):
            check = "that sslrootcert in SOURCE_DATABASE_URL names the authority of the server's certificate"
        raise SourceUnusable(f"{unusable}: {said}; check {check}") from error


@asynccontextmanager
async def _reading(source: "asyncpg.Connection") -> AsyncIterator[None]:
    async with source.transaction(readonly=True):
        await source.execute("SET LOCAL timezone = 'UTC'")
        yield


async def pages(
    source: "asyncpg.Connection", select: str, texts: tuple[str, ...], after: str | None, page_rows: int
) -> AsyncIterator[list[Row]]:
    """Rows in key order, `page_rows` at a time, with `key_text` and every other id as text. Raises SourceUnusable."""
    import asyncpg

    try:
        async with _reading(source):
            plain = await source.prepare(f"SELECT * FROM ({select}) AS source LIMIT 0", name="")  # noqa: S608 - see `select_of`
            columns = {one.name: one.type.name for one in plain.get_attributes()}
        last = None if after is None else _key(columns, after)
        while True:
            where = "WHERE key > $2" if last is not None else ""
            async with _reading(source):
                rows = await source.fetch(
                    f"SELECT {_outer(columns, texts)} FROM ({select}) AS source {where} ORDER BY key LIMIT $1",  # noqa: S608
                    page_rows,
                    *([last] if last is not None else []),
                )
            if not rows:
                return
            yield [dict(row) for row in rows]
            last = rows[-1]["key"]
    except asyncpg.PostgresError as error:
        raise SourceUnusable(
            f"the source database says: {error}; name the table and its columns by the options, or give a query"
        ) from error
    except (asyncpg.InterfaceError, OSError) as error:
        raise SourceUnusable(f"the connection to the source database was lost: {error}") from error


def _outer(columns: dict[str, str], texts: tuple[str, ...]) -> str:
    wanted = ["key", "key::text AS key_text"]
    for name in columns:
        if name in texts:
            wanted.append(f"{name}::text AS {name}")
        elif name == "completed":
            wanted.append("completed::boolean AS completed")
        elif name in {"completed_at", "registered_at", "revision"}:
            wanted.append(name)
    return ", ".join(wanted)


def _key(columns: dict[str, str], after: str) -> Any:
    kind = columns.get("key", "")
    if kind not in KEY_TYPES:
        raise SourceUnusable(f"the key is of type {kind or 'none'}; it must be an integer, a uuid or text")
    try:
        return KEY_TYPES[kind](after)
    except ValueError:
        raise SourceUnusable(f'--after "{after}" is not a key of type {kind}') from None


def _records(page: list[Row], convert: Any, wanted: Import, done: Imported) -> list[EncodedRecord]:
    """A page's events; with `skip_invalid` without its bad rows."""
    now = datetime.now(UTC)
    records = []
    for row in page:
        try:
            record = convert(row, wanted.times, now)
        except BadRow as error:
            if not wanted.skip_invalid:
                raise
            done.invalid += 1
            if len(done.bad_rows) < BAD_ROWS_KEPT:
                done.bad_rows.append(str(error))
            continue
        if record is None:
            done.not_completed += 1
        else:
            records.append(record)
    return records


def where_to_go_on(done: Imported) -> str:
    """What a person should do after an import that ended early."""
    if done.last_key is None:
        return "no attempt was published yet; run the import again"
    return f"everything up to key {done.last_key} is in the log; continue with --after {done.last_key}"
