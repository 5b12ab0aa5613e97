"""Limits of what one gateway takes at once, and one token for long: whoever sends more is asked to come again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from time import monotonic

from solve_runtime.http.problem import Problem

BUSY_S = 1


def busy() -> Problem:
    """The problem of a request for which there is no room."""
    return Problem(
        503,
        "busy",
        "Too much at once",
        f"The gateway holds as much as it may. Nothing was published; send it again in {BUSY_S} second.",
        headers={"Retry-After": str(BUSY_S)},
    )


class InFlight:
    """The bytes of requests that are held at once. `show` gets how many there are."""

    def __init__(self, max_bytes: int, show: Callable[[int], object] = lambda _: None) -> None:
        self._max_bytes = max_bytes
        self._show = show
        self._held = Counter[str]()

    @contextmanager
    def held(self, name: str, size: int) -> Iterator[None]:
        """Raises Problem where this is too much beside the others, or beside this token's own, which get half.

        Alone each request fits.
        """
        total, own = self._held.total(), self._held[name]
        if (total and total + size > self._max_bytes) or (own and own + size > self._max_bytes // 2):
            raise busy()
        self._change(name, size)
        try:
            yield
        finally:
            self._change(name, -size)

    def _change(self, name: str, by: int) -> None:
        self._held[name] += by
        if not self._held[name]:
            del self._held[name]
        self._show(self._held.total())


class InTurn:
    """Requests of which some at a time are read, and the others wait: for callers that never send one again."""

    def __init__(self, at_once: int, wait_s: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._wait_s = wait_s

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Raises Problem where the wait is too long."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise busy() from None
        try:
            yield
        finally:
            self._free.release()


class EventRate:
    """A bucket for each token: filled by the second, emptied by what was sent, in debt after a large request."""

    def __init__(self, per_s: int, clock: Callable[[], float] = monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._owed: dict[str, tuple[float, float]] = {}  # seconds' worth of events that are not paid, and since when

    def require(self, name: str) -> None:
        """Raises Problem while the token owes more than a second's events."""
        over = self._debt(name) - 1.0
        if over > 0:
            wait_s = ceil(over)
            raise Problem(
                429,
                "too-many-events",
                "Too many events",
                f"This token may send {self._per_s} events a second; try again in {wait_s} seconds.",
                headers={"Retry-After": str(wait_s)},
            )

    def spend(self, name: str, events: int) -> None:
        """Counts what was sent, whatever became of it."""
        self._owed[name] = self._debt(name) + events / self._per_s, self._clock()

    def _debt(self, name: str) -> float:
        owed, since = self._owed.get(name, (0.0, 0.0))
        return max(0.0, owed - (self._clock() - since))
