"""How does a task that runs beside come to its end? Told more than once, since a cancellation can get lost on the way.

A client library may answer one with an error of its own, or swallow it where an answer came at the same moment; the
task then goes on as if nothing had been said, and whoever waits for its end waits for ever.
"""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

CANCEL_AGAIN_S = 1.0
UNCUT_S = 0.5  # shorter, or the next telling cuts it after all


def going_on() -> bool:
    """False once this task was told to end, whatever became of the telling. The condition of every endless loop."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks until each has ended. What they raised stays in them."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def uncut(work: Coroutine[Any, Any, None]) -> None:
    """Work that is not cut in the middle when this task is told to end, where it ends by itself soon.

    A Kafka client whose start is cut forgets the connection that it was about to learn the brokers from.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    finally:
        if not task.done():
            try:
                await asyncio.wait([task], timeout=UNCUT_S)
            finally:  # told once more meanwhile, too
                await end([task])
                _ = task.cancelled() or task.exception()  # else it would be said that nobody asked
