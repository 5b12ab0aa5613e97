"""A projector that recovers when its Kafka client stops reading (aiokafka #1154, #847, #625)."""

import asyncio

from solve_projector.live.process import open_projector, run_projector
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World


async def test_a_client_that_stops_reading_is_replaced_by_a_new_member(world: World) -> None:
    settings = world.settings.model_copy(update={"stall_after_s": 1.0, "log_check_interval_s": 0.2})
    stopping = asyncio.Event()
    async with open_projector(world.connection, settings) as projector, asyncio.TaskGroup() as beside:
        beside.create_task(run_projector(projector, stopping))
        await world.publish([registered("u"), solved("0", "u", "p0")])
        await world.until_right()
        stalled = projector.reader._consumer
        fetcher = stalled._fetcher
        for fetching in (fetcher._fetch_task, *fetcher._pending_tasks):
            fetching.cancel()  # the membership stays, and its heartbeats with it
        await world.publish([solved("1", "u", "p1", 1)])
        await until(lambda: projector.reader._consumer is not stalled, "another member to join")
        await world.until_right()
        stopping.set()
    assert await world.value("SELECT problems_solved FROM users") == 2
