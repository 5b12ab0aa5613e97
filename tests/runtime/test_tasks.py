"""Does a task end although its cancellation gets lost? Made to get lost here, as clients do now and then."""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from solve_projector.log.inspection import open_inspector
from solve_runtime.tasks import end, going_on, uncut
from tests.world import World


async def swallowing(loops: list[int]) -> None:
    """Loses the first cancellation, like a client whose answer came at the same moment."""
    while going_on():
        loops.append(len(loops))
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def deaf(ready: asyncio.Event) -> None:
    """Loses one, and is in the middle of something long."""
    try:
        ready.set()
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def test_a_loop_that_lost_its_cancellation_ends_with_the_next_round() -> None:
    loops: list[int] = []
    task = asyncio.create_task(swallowing(loops))
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert loops == [0]


async def test_tasks_are_told_until_they_have_ended() -> None:
    ready = asyncio.Event()
    task = asyncio.create_task(deaf(ready))
    await ready.wait()
    await end([task])
    assert task.cancelled()


async def test_a_task_group_that_fails_does_not_wait_for_a_loop_that_lost_its_cancellation() -> None:
    loops: list[int] = []

    async def failing() -> None:
        raise ValueError

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(swallowing(loops))
            tasks.create_task(failing())
    except* ValueError:
        pass
    assert loops == [0]


async def test_outside_of_a_task_a_loop_goes_on() -> None:
    assert going_on()


async def test_work_that_ends_soon_is_not_cut() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.append("whole")

    task = asyncio.create_task(uncut(work()))
    await begun.wait()
    task.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    await asyncio.wait([task])
    assert (done, task.cancelled()) == (["whole"], True)


async def test_work_that_does_not_end_is_cut_after_all() -> None:
    before = asyncio.all_tasks()
    ready = asyncio.Event()

    async def endless() -> None:
        ready.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(uncut(endless()))
    await ready.wait()
    await end([task])
    assert task.cancelled()
    assert asyncio.all_tasks() == before


async def test_work_is_cut_after_all_also_where_it_is_told_twice_at_once() -> None:
    before, ready = asyncio.all_tasks(), asyncio.Event()

    async def endless() -> None:
        ready.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(uncut(endless()))
    await ready.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert asyncio.all_tasks() == before


async def test_what_the_work_raises_is_raised() -> None:
    async def failing() -> None:
        raise ValueError("said")

    with pytest.raises(ValueError, match="said"):
        await uncut(failing())


async def test_a_kafka_client_that_is_stopped_while_it_starts_leaves_no_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, asked = AIOKafkaConnection.send, asyncio.Event()

    def send(connection: AIOKafkaConnection, request: Any, *rest: Any, **options: Any) -> Any:
        answer = plain(connection, request, *rest, **options)
        if isinstance(request, MetadataRequest):
            asked.set()
        return answer

    async def inspect() -> None:
        async with open_inspector(world.connection):
            await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConnection, "send", send)
    task = asyncio.create_task(inspect())
    await asked.wait()
    await end([task])
    gc.collect()  # what is left open would be said now
