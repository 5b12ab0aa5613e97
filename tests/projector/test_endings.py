"""Does a task end although its cancellation gets lost? Made to get lost here, as clients do now and then."""

import asyncio

from projector.endings import end, going_on


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
