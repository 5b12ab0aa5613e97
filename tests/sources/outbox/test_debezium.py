"""The connector of docs/outbox.md in Kafka Connect standalone: run by `make try-debezium`, as its jars are large."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from devstack import postgres
from devstack.connect import worker_command
from tests.events import registered, revoked, solved
from tests.producer.topics import records_of
from tests.sources.outbox.judges import PostgreSqlJudge
from tests.waiting import until
from tests.world import World

PAGE = (Path(__file__).parents[3] / "docs" / "outbox.md").read_text()
STARTS_S = 120  # Kafka Connect looks through its plugins first


@pytest.fixture
def logical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[postgres.Postgres]:
    """PostgreSQL with a WAL that can be decoded."""
    monkeypatch.setitem(postgres.SERVER_SETTINGS, "wal_level", "logical")
    server = postgres.Postgres(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.mark.soak
async def test_debezium_brings_an_outbox_to_the_counts(
    world: World, logical: postgres.Postgres, tmp_path: Path
) -> None:
    judge = PostgreSqlJudge(logical.url())
    await judge.make_tables()
    await judge.run(f"ALTER TABLE solve_outbox ALTER aggregatetype SET DEFAULT '{world.connection.topic}'")
    await judge.add(registered("ada"), registered("bob"), solved("1", "ada", "p"))  # before the connector is there
    async with _connector(world, judge, tmp_path / "connect"):
        await until(lambda: _records(world, 3), "the rows that were there", timeout_s=STARTS_S)
        await judge.add(solved("2", "ada", "q", 1), solved("3", "bob", "p", 1), solved("4", "bob", "q", 1))
        await judge.add(revoked("3", "bob", "p", 2))
        await judge.run("DELETE FROM solve_outbox")
        await until(lambda: _records(world, 7), "the rows that came later")
    await judge.close()
    totals = await world.run_once()
    assert totals.dead_letters == 0
    rows = await world.fetch("SELECT user_id, problems_solved FROM users ORDER BY user_id")
    assert [tuple(row) for row in rows] == [("ada", 2), ("bob", 1)]


@asynccontextmanager
async def _connector(world: World, judge: PostgreSqlJudge, folder: Path) -> AsyncIterator[None]:
    """A worker with the page's own configuration, at this judge."""
    (page,) = re.findall(r"```properties\n(.*?)```", PAGE, re.DOTALL)
    properties = dict(line.split("=", 1) for line in page.splitlines())
    place = urlsplit(judge.url)
    properties |= {
        "database.hostname": str(place.hostname),
        "database.port": str(place.port),
        "database.user": str(place.username),
        "database.password": unquote(str(place.password)),
        "database.dbname": place.path[1:],
    }
    converter = "org.apache.kafka.connect.storage.StringConverter"
    worker = {"key.converter": converter, "value.converter": converter, "offset.flush.interval.ms": "1000"}
    words = await asyncio.to_thread(
        worker_command, folder, "debezium-connector-postgres", world.connection.bootstrap_servers, worker, properties
    )
    log = folder / "connect.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*words, stdout=output, stderr=output)
    try:
        yield
    except BaseException as error:
        error.add_note(log.read_text()[-4_000:])
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _records(world: World, number: int) -> bool:
    found = await records_of(world)
    assert len(found) <= number, found
    return len(found) == number
