"""Is a projector whose servers die called not ready, and left alive? A restart would help nothing."""

import asyncio

import pytest

from devstack import Stack
from tests.asking import Watched, watched
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

LIVENESS_TIMEOUT_S = 1.0
QUICK = {"liveness_timeout_s": LIVENESS_TIMEOUT_S, "log_check_interval_s": 0.1}


@pytest.mark.parametrize(
    ("name", "condition"), [("postgres", "postgresql"), ("kafka", "kafka"), ("valkey", "leaderboard")]
)
async def test_a_server_that_is_killed_is_named_and_no_reason_to_restart(
    breakable: World, stack: Stack, name: str, condition: str
) -> None:
    world, server = breakable, getattr(stack, name)
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with watched(world, **QUICK) as asked:
        await world.until_right()
        await until(asked.ready, "everything to be met")
        if name != "kafka":
            server.kill()
            await world.publish([solved("2", "u", "q", 2)])  # work that cannot be done, or not shown
        else:
            server.kill()
        await until(lambda: _misses(asked, condition), f"{condition} to be named")
        await _stays_alive(asked)
        assert (await asked.values("solve_projector_retries_total"))[condition.replace("leaderboard", "redis"),] > 0
        await asyncio.to_thread(server.start)
        await until(asked.ready, "everything to be met again")
        await world.until_right()


async def _misses(asked: Watched, condition: str) -> bool:
    return condition in await asked.missing()


async def _stays_alive(asked: Watched) -> None:
    """For several times as long as a standstill may last."""
    clock = asyncio.get_running_loop().time
    later = clock() + 4 * LIVENESS_TIMEOUT_S
    while clock() < later:
        status, said = await asked.page("/livez")
        assert status == 200, said
