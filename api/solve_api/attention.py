"""Lets background work rest while nobody looks, so that an idle process leaves its servers alone."""

import asyncio
from collections.abc import Callable
from time import monotonic

REST_AFTER_S = 15.0  # longer than a page takes to open its stream, or to come back to it


class Attention:
    """Whether somebody looked a moment ago, or `is_watched` says that somebody looks all the time."""

    def __init__(self, is_watched: Callable[[], bool] = lambda: False) -> None:
        self._is_watched = is_watched
        self._looked_at = monotonic()  # a process is started for somebody
        self._woken = asyncio.Event()
        self.resting = False

    def look(self) -> bool:
        """Notes that somebody looks; returns whether the work rested, so that what it found is old."""
        rested, self.resting = self.resting, False
        self._looked_at = monotonic()
        self._woken.set()
        return rested

    def is_lost(self) -> bool:
        """Whether nobody looks any more."""
        if self._is_watched():
            self._looked_at = monotonic()
        return monotonic() - self._looked_at > REST_AFTER_S

    async def rest(self, on_rest: Callable[[], object]) -> None:
        """If nobody looks any more, drops what was found and waits until somebody does."""
        if self.is_lost():
            on_rest()
            self._woken.clear()
            self.resting = True
            await self._woken.wait()
