"""Projectors whose servers die: not ready, and alive, because a restart would not help."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devstack import Stack
from tests.asking import Watched, get, watched
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

# more than a projector needs to get on once a server is back: its pauses between tries grow to 2 s
LIVENESS_TIMEOUT_S = 8.0
QUICK = {"liveness_timeout_s": LIVENESS_TIMEOUT_S, "log_check_interval_s": 0.1}


@pytest.mark.parametrize(
    ("name", "condition", "said"),
    [
        ("postgres", "postgresql", "PostgreSQL: "),
        ("kafka", "kafka", "check KAFKA_BOOTSTRAP_SERVERS"),
        ("valkey", "leaderboard", "check REDIS_URL"),
    ],
)
async def test_a_server_that_is_killed_is_named_and_no_reason_to_restart(
    breakable: World, stack: Stack, name: str, condition: str, said: str
) -> None:
    world, server = breakable, getattr(stack, name)
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with watched(world, **QUICK) as asked:
        await world.until_right()
        await until(asked.ready, "everything to be met")
        async with always_alive(asked):
            server.kill()
            if name != "kafka":
                await world.publish([solved("2", "u", "q", 2)])  # work that cannot be done, or not shown
            await until(lambda: _says(asked, condition, said), f"{condition} to be named")
            await _for_longer_than_a_standstill_may_last()
            retries = await asked.values("solve_projector_retries_total")
            assert retries[condition.replace("leaderboard", "redis"),] > 0
            await asyncio.to_thread(server.start)
            await until(asked.ready, "everything to be met again")
            await world.until_right()


async def _says(asked: Watched, condition: str, said: str) -> bool:
    return said in (await asked.missing()).get(condition, "")


@asynccontextmanager
async def always_alive(asked: Watched) -> AsyncIterator[None]:
    """Asks without a pause, since what is wrong may show for a moment only."""
    answers: set[tuple[int, str]] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            answers.add(get(asked.port, "/livez"))

    watching = asyncio.create_task(asyncio.to_thread(watch))
    try:
        yield
    finally:
        over.set()
        await watching
    assert {status for status, _ in answers} == {200}, answers


async def _for_longer_than_a_standstill_may_last() -> None:
    clock = asyncio.get_running_loop().time
    later = clock() + LIVENESS_TIMEOUT_S + 1
    await until(lambda: clock() > later)
