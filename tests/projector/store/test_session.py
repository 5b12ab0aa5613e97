"""Sessions with limits, on PostgreSQL itself and through a real PgBouncer in each of its modes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from solve_projector.domain.batch import Batch, fold
from solve_projector.errors import DatabaseUnavailable, PoolerUnsuitable
from solve_projector.settings import ProjectorSettings
from solve_projector.store import session as session_module
from solve_projector.store.counts import apply_rows
from solve_projector.store.postgresql import (
    REPLAY_SESSION,
    SETUP_SESSION,
    Failure,
    classify,
    connect,
    connect_options,
    open_pool,
    said_of,
    took_too_long,
)
from tests.pooler import REMEDY, pooled
from tests.waiting import until

MODES = ("transaction", "statement")


def settings_of(url: str, **changes: object) -> ProjectorSettings:
    return ProjectorSettings(database_url=SecretStr(url), **changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_is_known_of_a_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_keeping", set[str]())


@pytest.fixture(params=["direct", "session", "session, ignoring", "session, small"])
async def address(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """The database, directly or through a pooler that keeps one session for each client."""
    if request.param == "direct":
        yield database_url
        return
    settings = {
        "session, ignoring": {"ignore_startup_parameters": REMEDY},
        "session, small": {"default_pool_size": "1"},
    }
    async with pooled(tmp_path / "pooler", database_url, "session", **settings.get(request.param, {})) as pooler:
        yield pooler.url()


@pytest.mark.parametrize("kind", [{}, {"replay": True}, {"setup": True}])
async def test_every_setting_of_a_session_is_in_force(address: str, database_url: str, kind: dict[str, bool]) -> None:
    settings = settings_of(address, database_schema="elsewhere")
    extra = REPLAY_SESSION if kind.get("replay") else SETUP_SESSION if kind.get("setup") else {}
    wanted = connect_options(settings)["session"] | extra
    # PostgreSQL itself takes them as start-up parameters
    expected = await shown(await asyncpg.connect(database_url, server_settings=wanted), wanted)
    for _ in range(3):  # the pooler resets the session (DISCARD ALL) before it gives it to the next client
        assert await shown(await connect(settings, **kind), wanted) == expected


async def shown(connection: asyncpg.Connection, names: Iterable[str]) -> dict[str, str]:
    """What is in force on a connection, which is closed."""
    found = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
    await connection.close()
    return found


async def test_a_writer_that_stops_inside_a_statement_loses_its_locks(address: str) -> None:
    connection = await connect(settings_of(address, transaction_timeout_ms=1_000))
    await connection.execute("BEGIN; LOCK TABLE users")
    with pytest.raises(asyncpg.PostgresError) as ended:
        await connection.execute("SELECT pg_sleep(600)")
    assert took_too_long(ended.value)


async def test_a_pool_gives_every_connection_its_limits(database_url: str, tmp_path: Path) -> None:
    async with (
        pooled(tmp_path / "pooler", database_url, "session") as pooler,
        open_pool(settings_of(pooler.url(), transaction_timeout_ms=7_000)) as pool,
    ):
        connections = [await pool.acquire() for _ in range(3)]
        try:
            shown = [await one.fetchval("SHOW transaction_timeout") for one in connections]
            assert shown == ["7s"] * 3
            assert len({await one.fetchval("SELECT pg_backend_pid()") for one in connections}) == 3
        finally:
            for one in connections:
                await pool.release(one)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ignored", ["", REMEDY])
async def test_a_pooler_that_shares_sessions_is_refused_and_none_is_changed(
    database_url: str, tmp_path: Path, mode: str, ignored: str
) -> None:
    async with pooled(
        tmp_path / "pooler", database_url, mode, ignore_startup_parameters=ignored, default_pool_size="1"
    ) as pooler:
        plain = await asyncpg.connect(pooler.url(), statement_cache_size=0)
        for _ in range(3):
            with pytest.raises(PoolerUnsuitable, match="a pooler in transaction or statement mode is in between"):
                await connect(settings_of(pooler.url(), database_schema="elsewhere"))
            assert await plain.fetchval("SHOW search_path") == '"$user", public'
            assert await plain.fetchval("SHOW transaction_timeout") == "0"
            assert await plain.fetchval("SHOW idle_session_timeout") == "0"
        await plain.close()


async def test_it_is_refused_while_other_clients_use_the_pool(database_url: str, tmp_path: Path) -> None:
    async with pooled(tmp_path / "pooler", database_url, "transaction", default_pool_size="4") as pooler:
        stopping = asyncio.Event()

        async def use() -> None:
            client = await asyncpg.connect(pooler.url(), statement_cache_size=0)
            while not stopping.is_set():
                await client.execute("SELECT 1")
            await client.close()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(use())
            try:
                for _ in range(3):
                    with pytest.raises(PoolerUnsuitable, match="a pooler in transaction or statement mode"):
                        await connect(settings_of(pooler.url()))
            finally:
                stopping.set()


async def test_a_pooler_that_resets_nothing_is_refused_by_what_to_configure(database_url: str, tmp_path: Path) -> None:
    async with pooled(
        tmp_path / "pooler", database_url, "session", server_reset_query="", default_pool_size="1"
    ) as pooler:
        first = await connect(settings_of(pooler.url()))
        await first.close()
        with pytest.raises(PoolerUnsuitable, match="server_reset_query = DISCARD ALL"):
            await connect(settings_of(pooler.url()))


@pytest.mark.parametrize("undo", ["DISCARD ALL", "RESET ALL"])
async def test_a_batch_whose_session_lost_its_limits_is_refused(database_url: str, undo: str) -> None:
    connection = await connect(settings_of(database_url))
    try:
        await connection.execute("INSERT INTO partition_offsets (topic, partition) VALUES ('t', 0)")
        batch = Batch({0: (0, 1)}, [])
        await connection.execute(undo)
        await connection.execute("SET search_path = public")
        await connection.reload_schema_state()
        with pytest.raises(PoolerUnsuitable, match="this transaction runs without its limits"):
            await apply_rows(connection, "t", fold(batch))
        assert await connection.fetchval("SELECT next_offset FROM partition_offsets") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize("absent_was_seen", [True, False])
async def test_a_pooler_that_changes_its_mode_is_refused_again(
    database_url: str, tmp_path: Path, absent_was_seen: bool
) -> None:
    async with pooled(tmp_path / "session", database_url, "session") as pooler:
        await (await connect(settings_of(pooler.url()))).close()
    if absent_was_seen:
        with pytest.raises(DatabaseUnavailable):
            await connect(settings_of(pooler.url()))
    async with pooled(tmp_path / "transaction", database_url, "transaction", port=pooler.port):
        if not absent_was_seen:
            trusting = await connect(settings_of(pooler.url()))
            await trusting.fetchval("SELECT 1")
            other = await asyncpg.connect(pooler.url())
            await other.execute("BEGIN; SELECT 1")  # holds the server process that prepared it
            with pytest.raises(asyncpg.InvalidSQLStatementNameError) as ended:
                await trusting.fetchval("SELECT 1")
            assert classify(ended.value) is Failure.TRANSIENT
            assert "a pooler in between gave this session another server process" in said_of(ended.value)
            await until(trusting.is_closed)
            await other.close()
        with pytest.raises(PoolerUnsuitable):
            await connect(settings_of(pooler.url()))
