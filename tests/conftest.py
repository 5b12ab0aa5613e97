"""What does every test get? Servers for the session, and a fresh database, topic and board for itself."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest
import pytest_asyncio
from pydantic import SecretStr

from devstack import Stack
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import migrate
from solve_runtime.kafka_settings import KafkaConnection
from tests.servers import servers_of_this_run
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


@pytest_asyncio.fixture(scope="session")
async def template(servers: Mapping[str, str]) -> str:
    """A database with the tables, to be copied."""
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    await admin.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
    await admin.execute(f"CREATE DATABASE {TEMPLATE}")
    await admin.close()
    await migrate(ProjectorSettings(database_url=SecretStr(url_of(servers["DATABASE_URL"], TEMPLATE))))
    return TEMPLATE


@pytest_asyncio.fixture
async def database_url(servers: Mapping[str, str], template: str) -> AsyncIterator[str]:
    """A database of the test's own, with the tables."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield url_of(servers["DATABASE_URL"], name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


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
    await provision(made.connection, made.settings, PARTITIONS)
    return made


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three servers of the module's own, to be killed."""
    with Stack(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest_asyncio.fixture
async def breakable(stack: Stack) -> AsyncIterator[World]:
    """A world on servers that the test may kill; they run again afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(stack.postgres.url())
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    made = world_of(stack.kafka.url(), stack.postgres.url_of(name), stack.valkey.url())
    await provision(made.connection, made.settings, PARTITIONS)
    yield made
    await asyncio.to_thread(stack.start)


@pytest.fixture(scope="session")
def wf47() -> Path:
    """The real contest's folder; tests on it skip where it is missing."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "wf47"
    if not folder.exists():
        pytest.skip("the World Finals' feed is not beside this checkout (../shared/data/wf47)")
    return folder
