"""One gateway that tests share, and a judge of each test's own."""

import uuid
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio

from solve_runtime.kafka_settings import KafkaConnection
from tests.conftest import make_topic
from tests.gateway.serving import Served, gateway


@pytest_asyncio.fixture(scope="module")
async def log(servers: Mapping[str, str]) -> KafkaConnection:
    """A topic of the module's own."""
    made = KafkaConnection(
        bootstrap_servers=servers["KAFKA_BOOTSTRAP_SERVERS"], topic=f"judge-events-{uuid.uuid4().hex[:12]}"
    )
    await make_topic(made)
    return made


@pytest_asyncio.fixture(scope="module")
async def served(log: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A gateway of the module's own."""
    async with gateway(log, tmp_path_factory.mktemp("gateway"), gateway_events_max=2_000) as found:
        yield found


@pytest_asyncio.fixture
async def judge(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token for any source."""
    async with served.judge(uuid.uuid4().hex) as client:
        yield client
