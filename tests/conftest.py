"""Fixtures: servers for the session, and for each test a database, a topic and a board of its own."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest
import pytest_asyncio
from pydantic import SecretStr

from devstack import Stack
from solve_projector.errors import KafkaUnavailable, TopicMissing
from solve_projector.log.inspection import open_inspector
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import migrate
from solve_runtime.kafka_settings import KafkaConnection
from tests.servers import servers_of_this_run
from tests.waiting import until
from tests.world import FAST, World, environment_of

# No test asserts a duration: on a busy machine, inputs are made slowly and examples take long.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")
# one for each worker of pytest-xdist, since they may share a server
TEMPLATE = f"solve_template_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
PARTITIONS = 3


@pytest.fixture(scope="session")
def servers() -> Iterator[Mapping[str, str]]:
    """KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and REDIS_URL."""
    with servers_of_this_run() as found:
        yield found


def url_of(url: str, database: str) -> str:
    """The address of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


async def make_template(url: str) -> str:
    """A database with the tables, to be copied: a copy costs less than the migrations."""
    admin = await asyncpg.connect(url)
    await admin.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
    await admin.execute(f"CREATE DATABASE {TEMPLATE}")
    await admin.close()
    await migrate(ProjectorSettings(database_url=SecretStr(url_of(url, TEMPLATE))))
    return TEMPLATE


async def copy_of(template: str, admin: asyncpg.Connection) -> str:
    """The name of a new database with the tables."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


@pytest_asyncio.fixture(scope="session")
async def template(servers: Mapping[str, str]) -> str:
    """The template of the session's server."""
    return await make_template(servers["DATABASE_URL"])


@pytest_asyncio.fixture
async def database_url(servers: Mapping[str, str], template: str) -> AsyncIterator[str]:
    """A database of the test's own, with the tables."""
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    name = await copy_of(template, admin)
    yield url_of(servers["DATABASE_URL"], name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def make_topic(connection: KafkaConnection) -> None:
    """The log, once the broker has given it leaders."""
    async with open_inspector(connection) as inspector:
        await inspector.create_topic(PARTITIONS, 1)

        async def led() -> bool:
            with suppress(TopicMissing, KafkaUnavailable):
                return bool(await inspector.state())
            return False

        await until(led, "the topic's leaders", poll_s=0.01)


def world_of(bootstrap_servers: str, database_url: str, redis_url: str) -> World:
    """A world with a topic and a group of its own, which are not made yet."""
    name = uuid.uuid4().hex[:12]
    connection = KafkaConnection(bootstrap_servers=bootstrap_servers, topic=f"judge-events-{name}")
    settings = ProjectorSettings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        group_id=f"projector-{name}",
        leaderboard_prefix=f"solves-{name}",
        **FAST,  # type: ignore[arg-type]
    )
    return World(connection, settings, environment_of(connection, settings))


@pytest_asyncio.fixture
async def world(servers: Mapping[str, str], database_url: str) -> World:
    """A topic of three partitions, a database, a board, and nothing in them."""
    made = world_of(servers["KAFKA_BOOTSTRAP_SERVERS"], database_url, servers["REDIS_URL"])
    await make_topic(made.connection)
    return made


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three servers of the module's own, to be killed."""
    with Stack(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest_asyncio.fixture(scope="module")
async def stack_template(stack: Stack) -> str:
    """The template of the module's own server."""
    return await make_template(stack.postgres.url())


@pytest_asyncio.fixture
async def breakable(stack: Stack, stack_template: str) -> AsyncIterator[World]:
    """A world on servers that the test may kill; they run again afterwards."""
    admin = await asyncpg.connect(stack.postgres.url())
    name = await copy_of(stack_template, admin)
    await admin.close()
    made = world_of(stack.kafka.url(), stack.postgres.url_of(name), stack.valkey.url())
    await make_topic(made.connection)
    yield made
    await asyncio.to_thread(stack.start)


@pytest.fixture(scope="session")
def wf47() -> Path:
    """The real contest's folder; tests on it skip where it is missing."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "wf47"
    if not folder.exists():
        pytest.skip("the World Finals' feed is not beside this checkout (../shared/data/wf47)")
    return folder
