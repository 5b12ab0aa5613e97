"""The migration runner: resumable, one at a time, and never ended by the server while it waits."""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from bench.check import model_of
from solve_projector.domain.named_users import named_users
from solve_projector.errors import SchemaMismatch
from solve_projector.live.sweep import Sweep
from solve_projector.settings import ProjectorSettings
from solve_projector.store import erasure
from solve_projector.store import migrate as runner
from solve_projector.store.dead_letters import Selection, read_pages
from solve_projector.store.migrate import migrate, migrations, newest_revision, require_schema
from solve_projector.store.postgresql import connect, open_pool
from tests.conftest import url_of
from tests.events import registered, revoked, solved
from tests.waiting import until

APPLIED = ["0016", "0005", "0006", "0007", "0009", "0010", "0011"]  # the newest that fences, and the additive ones


@pytest_asyncio.fixture
async def settings(servers: Mapping[str, str]) -> AsyncIterator[ProjectorSettings]:
    """A database without a single table."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    await admin.execute(f"CREATE DATABASE {name}")
    yield ProjectorSettings(database_url=SecretStr(url_of(servers["DATABASE_URL"], name)), database_schema="solves")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def revisions(settings: ProjectorSettings) -> list[str]:
    connection = await connect(settings)
    try:
        rows = await connection.fetch(
            "SELECT version_num FROM solve_counts_migration UNION ALL SELECT version_num FROM solve_counts_addition"
        )
        return [row[0] for row in rows]
    finally:
        await connection.close()


async def test_two_at_once_wait_for_each_other(settings: ProjectorSettings) -> None:
    assert await asyncio.gather(*(migrate(settings) for _ in range(3))) == [newest_revision()] * 3
    assert await revisions(settings) == APPLIED


async def test_a_busy_machine_does_not_cost_the_transaction(
    settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = settings.model_copy(update={"transaction_idle_timeout_ms": 100})

    def slowly() -> dict[str, str]:
        time.sleep(0.3)  # the whole process gets no processor, inside the transaction
        return migrations()

    monkeypatch.setattr(runner, "migrations", slowly)
    assert await migrate(impatient) == newest_revision()


async def test_a_partly_migrated_database_goes_on_where_it_was(
    settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_two = dict(list(migrations().items())[:2])
    with monkeypatch.context() as older:
        older.setattr(runner, "migrations", lambda: first_two)
        assert await migrate(settings) == "0002"
    connection = await connect(settings)
    try:
        with pytest.raises(SchemaMismatch, match=r"at revision 0002 and this version needs .* solve-projector setup"):
            await require_schema(connection, settings)
        await connection.execute("INSERT INTO users (user_id, username) VALUES ('u', 'kept')")
        assert await migrate(settings) == newest_revision()
        await require_schema(connection, settings)
        assert await connection.fetchval("SELECT username FROM users") == "kept"
    finally:
        await connection.close()
    assert await revisions(settings) == APPLIED


async def test_a_failing_migration_leaves_nothing(settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(runner, "migrations", lambda: migrations() | {"9999": "SELECT 1 / 0"})
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(settings)
    assert await migrate(settings) == newest_revision()


async def test_tables_of_a_newer_version_are_refused(settings: ProjectorSettings) -> None:
    await migrate(settings)
    connection = await connect(settings)
    try:
        await connection.execute("UPDATE solve_counts_migration SET version_num = '9999'")
        with pytest.raises(
            SchemaMismatch, match=r"revision 9999, which this version does not know.*upgrade solve-counts"
        ):
            await require_schema(connection, settings)
        with pytest.raises(SchemaMismatch, match="upgrade solve-counts"):
            await migrate(settings)
    finally:
        await connection.close()


async def test_a_table_of_somebody_else_is_not_touched(settings: ProjectorSettings) -> None:
    connection = await connect(settings)
    try:
        await connection.execute("CREATE SCHEMA solves; CREATE TABLE users (id integer)")
        with pytest.raises(SchemaMismatch, match="already has a table users that is not ours"):
            await migrate(settings)
        assert await connection.fetchval("SELECT to_regclass('solve_counts_migration')") is None
    finally:
        await connection.close()


async def test_an_upgrade_waits_for_a_running_batch_and_never_the_batch_for_it(
    settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(runner, "migrations", lambda: dict(list(migrations().items())[:4]))
        await migrate(settings)
    writer, watcher = await connect(settings), await connect(settings)
    try:
        async with writer.transaction():
            await writer.execute("SELECT 1 FROM partition_offsets FOR UPDATE")
            await writer.execute("DELETE FROM parked_events")
            await writer.execute("UPDATE verdicts SET solved = true")
            upgrading = asyncio.create_task(migrate(settings))
            await until(
                lambda: watcher.fetchval("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"), "setup to wait"
            )
            await writer.execute("DELETE FROM dead_letters")
            await writer.execute("UPDATE partition_offsets SET next_offset = 1")
        assert await upgrading == newest_revision()
    finally:
        await writer.close()
        await watcher.close()


@pytest.mark.parametrize("step", ["READ_AT_ONCE", "READ_BYTES"])
async def test_whom_a_dead_letter_names_is_found_after_the_upgrade_in_steps(
    settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(erasure, step, 3)
    with monkeypatch.context() as older:
        older.setattr(runner, "migrations", lambda: {name: sql for name, sql in migrations().items() if name < "0014"})
        assert await migrate(settings) == "0013"
    records: list[tuple[bytes | None, bytes | None]] = [
        (b"key", None),
        (b"key", b'{"user_id": "u"}'),
        (b"key", rb'{"data": {"user_id" : "\u00fc"}}'),
        (b"key", b'{"user_id": 47020, "broken'),
        (b"key", b'{"user_id": "\\u0000"}'),
        (b"key", b"\xff\x00"),
        (b"\xff", b"\xff"),
        (b"", b'\0\0\0\0\7{"user_id": "gone", "username": "Ada"}'),
        (None, None),
    ]
    connection = await connect(settings)
    try:
        insert = (
            'INSERT INTO dead_letters (topic, partition, "offset", broker_timestamp_ms, key, value, header_names, '
            "header_values, reason, detail) VALUES ('t', 0, $1, 0, $2, $3, '{}', '{}', 'not-json', '')"
        )
        await connection.executemany(insert, [(place, *record) for place, record in enumerate(records)])
        await migrate(settings)
        query = 'SELECT user_ids, value FROM dead_letters ORDER BY "offset"'
        assert [row[0] for row in await connection.fetch(query)] == [None] * len(records)
        listed = [one.user_ids async for page in read_pages(connection, Selection()) for one in page]
        await connection.execute("INSERT INTO user_removals VALUES ('gone', now(), '', now())")
        async with open_pool(settings) as pool:
            await Sweep(pool, "t").all()
        found = await connection.fetch(query)
    finally:
        await connection.close()
    assert [row[0] for row in found] == listed == [named_users(*record) for record in records]
    assert [row[1] for row in found] == [value if b"gone" not in (value or b"") else None for _, value in records]


async def test_rows_from_before_the_sources_have_none_and_older_writers_are_refused(
    settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(runner, "migrations", lambda: {name: sql for name, sql in migrations().items() if name < "0016"})
        assert await migrate(settings) == "0015"
    connection = await connect(settings)
    insert = (
        "INSERT INTO {} (user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id,"
    )
    insert += " reason, source_partition, source_offset) VALUES ('u', 'p', {}, true, now(), now(), '', '', '', 0, 0)"
    try:
        for table in ("verdicts", "parked_events"):
            await connection.execute(insert.format(table, "'1'"))
        await migrate(settings)
        for table in ("verdicts", "parked_events"):
            assert await connection.fetchval(f"SELECT source FROM {table}") == ""
            await connection.execute("SET solve.revision = '0015'")
            with pytest.raises(asyncpg.PostgresError, match=r"at revision 0016 .* upgrade solve-counts"):
                await connection.execute(insert.format(table, "'2'"))
    finally:
        await connection.close()


async def test_first_solves_are_filled_from_the_verdicts_that_stand(
    settings: ProjectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(runner, "migrations", lambda: dict(list(migrations().items())[:7]))
        assert await migrate(settings) == "0007"
    users, problems = [f"user {number}" for number in range(9)], "pqr"
    dice = random.Random(8)
    model = model_of(
        [registered(user_id) for user_id in users]
        + [
            dice.choice((solved, revoked))(str(number), dice.choice(users), dice.choice(problems), dice.randrange(40))
            for number in range(300)
        ]
    )
    connection = await connect(settings)
    try:
        rows = [(*key, *verdict, 0, 0) for key, verdict in model.verdicts.items()]
        await connection.copy_records_to_table("verdicts", records=rows, schema_name="solves")
        await migrate(settings)
        filled = {(row[0], row[1]): tuple(row)[2:] for row in await connection.fetch("SELECT * FROM solves")}
    finally:
        await connection.close()
    assert filled == model.firsts
    assert len(filled) > len(users)
