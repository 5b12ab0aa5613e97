"""Shares one read among equal requests that arrive together; none gets a read that started before it arrived.

When the board moves, every open page asks for it at once: that costs two reads, however many pages there are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from solve_runtime.tasks import retrieve

Result = TypeVar("Result")
Read = Callable[[], Awaitable[Any]]


class _Flight:
    """One read that several requests wait for; it starts once the previous one has ended."""

    def __init__(self, read: Read, previous: asyncio.Task[Any] | None) -> None:
        self.started = False
        self.task = asyncio.create_task(self._run(read, previous))

    async def _run(self, read: Read, previous: asyncio.Task[Any] | None) -> Any:
        if previous:
            await asyncio.wait([previous])
        self.started = True
        return await read()


class SingleFlight:
    """The reads of one process: for each key one runs, and at most one more waits to start after it."""

    def __init__(self) -> None:
        self._latest: dict[Hashable, _Flight] = {}

    async def run(self, key: Hashable, read: Callable[[], Awaitable[Result]]) -> Result:
        """The result, or the error, of a read that starts from now on. Cancelling one request does not stop it."""
        latest = self._latest.get(key)
        if latest is None or latest.started:
            latest = self._latest[key] = _Flight(read, latest.task if latest else None)
            latest.task.add_done_callback(partial(self._forget, key, latest))
        result: Result = await asyncio.shield(latest.task)
        return result

    def _forget(self, key: Hashable, this: _Flight, task: asyncio.Task[Any]) -> None:
        retrieve(task)  # every request may have gone
        if self._latest.get(key) is this:
            del self._latest[key]
