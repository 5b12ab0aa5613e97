"""Limits of what one gateway takes at once, and one token for long: whoever sends more is asked to come again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic

from solve_runtime.http.problem import Problem

BUSY_S = 1


class InFlight:
    """The bytes of requests that are held at once. `show` gets how many there are."""

    def __init__(self, max_bytes: int, show: Callable[[int], object] = lambda _: None) -> None:
        self._max_bytes = max_bytes
        self._show = show
        self._held = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Raises Problem where this is too much beside the others; alone each request fits."""
        if self._held and self._held + size > self._max_bytes:
            raise Problem(
                503,
                "busy",
                "Too much at once",
                f"The gateway holds as much as it may. Nothing was published; send it again in {BUSY_S} second.",
                headers={"Retry-After": str(BUSY_S)},
            )
        self._change(size)
        try:
            yield
        finally:
            self._change(-size)

    def _change(self, by: int) -> None:
        self._held += by
        self._show(self._held)


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
