"""Who asks the same at the same time? They share one read, and none of them gets one that began before they asked.

When the board moves, every open page asks for it at once: the answers cost two reads, however many ask.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class _Read(Generic[Answer]):
    """One read that several wait for; it begins once the one before it has ended."""

    def __init__(self, read: Callable[[], Awaitable[Answer]], before: "asyncio.Task[Answer] | None") -> None:
        self.begun = False
        self.task = asyncio.create_task(self._run(read, before))

    async def _run(self, read: Callable[[], Awaitable[Answer]], before: "asyncio.Task[Answer] | None") -> Answer:
        if before:
            await asyncio.wait([before])
        self.begun = True
        return await read()


class Together(Generic[Answer]):
    """The reads of one process. Of each question one runs, and at most one more waits to begin after it."""

    def __init__(self) -> None:
        self._latest: dict[Hashable, _Read[Answer]] = {}

    async def ask(self, question: Hashable, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of a read that begins from now on; its error is everybody's. Who leaves does not stop it."""
        latest = self._latest.get(question)
        if latest is None or latest.begun:
            latest = self._latest[question] = _Read(read, latest.task if latest else None)
            latest.task.add_done_callback(partial(self._forget, question, latest))
        return await asyncio.shield(latest.task)

    def _forget(self, question: Hashable, this: _Read[Answer], task: asyncio.Task[Answer]) -> None:
        if not task.cancelled():
            task.exception()  # seen, also where everybody who asked has left
        if self._latest.get(question) is this:
            del self._latest[question]
