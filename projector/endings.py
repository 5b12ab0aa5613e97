"""How does a task that runs beside come to its end? Told more than once, since a cancellation can get lost on the way.

A client library may answer one with an error of its own, or swallow it where an answer came at the same moment; the
task then goes on as if nothing had been said, and whoever waits for its end waits for ever.
"""

import asyncio
from collections.abc import Collection
from typing import Any

CANCEL_AGAIN_S = 1.0


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
