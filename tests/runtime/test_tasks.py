"""Cancellations that get lost, as they do in clients now and then, and tasks that end all the same."""

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from solve_projector.log.inspection import open_inspector
from solve_runtime.tasks import cancel_and_wait, cancelled, in_background, shielded
from tests.world import World


async def swallowing(loops: list[int]) -> None:
    """Loses the first cancellation, like a client whose reply arrived at the same moment."""
    while not cancelled():
        loops.append(len(loops))
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def deaf(ready: asyncio.Event) -> None:
    """Loses the first cancellation, and then waits for something long."""
    try:
        ready.set()
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def test_a_loop_that_lost_its_cancellation_ends_after_this_round() -> None:
    loops: list[int] = []
    task = asyncio.create_task(swallowing(loops))
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert loops == [0]


async def test_tasks_are_cancelled_until_they_have_ended() -> None:
    ready = asyncio.Event()
    task = asyncio.create_task(deaf(ready))
    await ready.wait()
    await cancel_and_wait([task])
    assert task.cancelled()


async def test_a_cancelled_task_has_time_to_clean_up() -> None:
    """As a ROLLBACK or an unlock needs; anyio's scopes cancel every await again, and cut them off."""
    ready, turns = asyncio.Event(), []

    async def tidy() -> None:
        try:
            ready.set()
            await asyncio.Event().wait()
        finally:
            for turn in range(20):
                await asyncio.sleep(0)
                turns.append(turn)

    task = asyncio.create_task(tidy())
    await ready.wait()
    await cancel_and_wait([task])
    assert turns == list(range(20))


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


async def test_outside_of_a_task_nothing_is_cancelled() -> None:
    assert not cancelled()


async def test_shielded_work_that_ends_soon_is_not_cancelled() -> None:
    started, proceed, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        started.set()
        await proceed.wait()
        done.append("whole")

    task = asyncio.create_task(shielded(work()))
    await started.wait()
    task.cancel()
    asyncio.get_running_loop().call_soon(proceed.set)
    await asyncio.wait([task])
    assert (done, task.cancelled()) == (["whole"], True)


async def test_shielded_work_that_does_not_end_is_cancelled_after_all() -> None:
    before = asyncio.all_tasks()
    ready = asyncio.Event()

    async def endless() -> None:
        ready.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(shielded(endless()))
    await ready.wait()
    await cancel_and_wait([task])
    assert task.cancelled()
    assert asyncio.all_tasks() == before


async def test_shielded_work_is_cancelled_also_if_its_task_is_cancelled_twice() -> None:
    before, ready = asyncio.all_tasks(), asyncio.Event()

    async def endless() -> None:
        ready.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(shielded(endless()))
    await ready.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert asyncio.all_tasks() == before


async def test_what_shielded_work_raises_is_raised() -> None:
    async def failing() -> None:
        raise ValueError("said")

    with pytest.raises(ValueError, match="said"):
        await shielded(failing())


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
    await cancel_and_wait([task])
    gc.collect()  # warns of a connection that was left open


@pytest.mark.parametrize(
    "failure", [ValueError("a row of a newer version"), asyncio.CancelledError("of a client"), None]
)
async def test_work_in_the_background_that_ends_says_so_and_starts_again(
    failure: BaseException | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solve_runtime.tasks.RESTART_MIN_S", 0.001)
    starts: list[str] = []
    again = asyncio.Event()

    async def fails_twice() -> None:
        starts.append("start")
        if starts.count("start") <= 2:
            if failure:
                raise failure
            return
        again.set()
        await asyncio.Event().wait()

    async with in_background(fails_twice, on_failure=lambda: starts.append("drop")):
        await again.wait()
    said = capsys.readouterr().out
    assert starts == ["start", "drop", "start", "drop", "start"]
    assert said.count("action=background_stopped") == 2
    assert "fails_twice stopped, and starts again" in said
    assert (str(failure) if failure else "it ended by itself") in said
    assert ("pause_s=0.001" in said, "pause_s=0.002" in said) == (True, True)


async def test_work_in_the_background_starts_again_where_the_log_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("solve_runtime.tasks.RESTART_MIN_S", 0.001)
    again, dropped = asyncio.Event(), asyncio.Event()

    class Full:
        def critical(self, *_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("solve_runtime.tasks.log", Full())

    async def fails_once() -> None:
        if not dropped.is_set():
            raise ValueError("once")
        again.set()
        await asyncio.Event().wait()

    async with in_background(fails_once, on_failure=dropped.set):
        await again.wait()


async def test_work_in_the_background_that_is_cancelled_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def answers_a_cancellation_with_an_error() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("closed") from None

    async def ends_when_cancelled() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with in_background(answers_a_cancellation_with_an_error, ends_when_cancelled):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert "stopped" not in capsys.readouterr().out
