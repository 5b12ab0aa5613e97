"""Cancellation that reaches a task even where a client library swallows it, and leaves the task time to clean up.

A client may answer a cancellation with an error of its own, or drop it where a reply arrived at the same moment. So an
endless loop asks `cancelled()`, and `cancel_and_wait` repeats itself. Between two attempts the task's cleanup (a
ROLLBACK, an unlock) has a second to finish.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, TypeVar

import structlog

from solve_runtime.errors import SolveCountsError

Result = TypeVar("Result")
Work = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger()

RETRY_S = 1.0
GRACE_S = 0.5  # less than RETRY_S, or the next attempt interrupts the work after all
RESTART_MIN_S, RESTART_MAX_S = 1.0, 60.0  # pauses of work that fails again and again


def cancelled() -> bool:
    """Whether this task was ever cancelled, even if the CancelledError got lost. Every endless loop checks it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def cancel_and_wait(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks until each has ended. Their exceptions stay in them."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=RETRY_S)


def retrieve(task: asyncio.Future[Any]) -> None:
    """Takes the error of a task that has ended, which nobody may wait for; or asyncio logs that nobody retrieved it."""
    _ = task.cancelled() or task.exception()


@asynccontextmanager
async def in_background(*work: Work, on_failure: Callable[[], object] = lambda: None) -> AsyncIterator[None]:
    """Runs work beside the caller's until exit. What fails, or ends by itself, is started again, after a pause.

    `on_failure` comes before the pause, to drop what that work no longer keeps true.
    """
    tasks = [asyncio.create_task(_restarted(one, on_failure)) for one in work]
    try:
        yield
    finally:
        await cancel_and_wait(tasks)


async def _restarted(work: Work, on_failure: Callable[[], object]) -> None:
    pause_s = RESTART_MIN_S
    while True:
        started_at = monotonic()
        error = await _failure_of(work)
        if cancelled():
            return
        if monotonic() - started_at > RESTART_MAX_S:
            pause_s = RESTART_MIN_S
        on_failure()  # first: nothing of what the work found may be relied on
        name = getattr(getattr(work, "func", work), "__qualname__", repr(work))
        with suppress(OSError):  # a log that cannot be written, on a full disk, must not end the work for good
            log.critical(
                f"{name} stopped, and starts again",
                action="background_stopped",
                error=str(error) if error else "it ended by itself",
                pause_s=pause_s,
                exc_info=error,
            )
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, RESTART_MAX_S)


async def _failure_of(work: Work) -> BaseException | None:
    """What it raised. A cancellation that is not this task's is a failure too: its own loop is gone all the same."""
    try:
        await work()
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - reported, and started again
        return error
    return None


async def shielded(work: Coroutine[Any, Any, None]) -> None:
    """Runs work that gets a moment to finish when this task is cancelled, and is cancelled only then.

    A Kafka client cancelled while it starts leaves the connection open that it was about to learn the brokers from.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    finally:
        if not task.done():
            try:
                await asyncio.wait([task], timeout=GRACE_S)
            finally:  # this task may be cancelled a second time here
                await cancel_and_wait([task])
                retrieve(task)


def first_cause(error: BaseException) -> BaseException:
    """Of an error that a group of tasks raised, the one that ended the group; ours before any other."""
    while isinstance(error, BaseExceptionGroup):
        ours, _ = error.split(SolveCountsError)
        error = (ours or error).exceptions[0]
    return error


def run_on_fast_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs to the end, on uvloop where it is installed: it is not of the base install, nor built for every platform."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)
