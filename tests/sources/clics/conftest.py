"""A contest server that tests of the live feed ask."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.follower import LINES


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ContestServer]:
    async with ContestServer(LINES).serving() as running:
        yield running
