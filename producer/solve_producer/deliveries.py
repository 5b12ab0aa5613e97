"""The events of one call that are on their way: in order, not too many, and none for longer than the timeout."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

IN_FLIGHT_EVENTS = 10_000
CHECK_S = 0.1  # an event of which the caller's own source was late is checked again after this


class Place(NamedTuple):
    """Where in the topic a record is."""

    partition: int
    offset: int


# called for each event once the broker has it, in the order in which they were handed over
OnConfirmed = Callable[[Place | None], object]


class Deliveries:
    """The events of one call to `publish`."""

    def __init__(self, timeout_s: float, on_confirmed: OnConfirmed | None = None) -> None:
        self._timeout_s = timeout_s
        self._on_confirmed = on_confirmed
        self._waiting: deque[tuple[asyncio.Future[Any], str, float]] = deque()
        self._own_due = 0.0  # of the event that is being handed over
        self._due: float | None = None  # None while the call waits for the caller's own events
        self.handed = 0  # to the client, also if it refused
        self.confirmed: Counter[str] = Counter()
        self._last: Any = None  # the client's metadata of the event that was confirmed last

    @property
    def sent(self) -> int:
        """How many the broker has for certain."""
        return self.confirmed.total()

    @property
    def last_place(self) -> Place | None:
        """Where the event is that was confirmed last; None if the broker took it for a duplicate, and has no offset."""
        return _place_of(self._last)

    @property
    def uncertain(self) -> int:
        """How many were handed to the client and are not known to have arrived."""
        return self.handed - self.sent

    @property
    def in_flight(self) -> int:
        """How many the client has taken and the broker has not confirmed."""
        return len(self._waiting)

    @property
    def waits_for_source(self) -> bool:
        """Whether the call waits for the caller's own events, and not for Kafka."""
        return self._due is None

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Raises TimeoutError once Kafka is waited for and the oldest event is due.

        One timer for the whole call: one for each event would be a sixth of what publishing costs.
        """
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def check() -> None:
            nonlocal timer
            now = loop.time()
            if self._due is not None and self._due <= now:
                limit.reschedule(now)
                return
            oldest = self._due or (self._waiting[0][2] if self._waiting else now + self._timeout_s)
            timer = loop.call_at(max(oldest, now + CHECK_S), check)

        async with asyncio.timeout(None) as limit:
            timer = loop.call_later(self._timeout_s, check)
            try:
                yield
            finally:
                timer.cancel()

    def take(self) -> float:
        """One more event; its time begins now. Returns the loop's time by which the oldest one must be confirmed.

        Raises aiokafka's errors.
        """
        self.handed += 1
        self._own_due = self._due = asyncio.get_running_loop().time() + self._timeout_s
        while self._waiting and self._waiting[0][0].done():
            self._count_first()
        if self._waiting:
            self._due = self._waiting[0][2]
        return self._due

    async def add(self, delivery: asyncio.Future[Any], type_name: str) -> None:
        """The client has the event now; waits for the oldest if there are too many. Raises aiokafka's errors."""
        self._waiting.append((delivery, type_name, self._own_due))
        if len(self._waiting) >= IN_FLIGHT_EVENTS:
            await self._confirm_first()
        self._due = None

    async def confirm_all(self) -> None:
        """Returns once the broker has them all. Raises aiokafka's errors."""
        while self._waiting:
            await self._confirm_first()

    def abandon(self) -> None:
        """Nobody waits any more; asyncio need not warn about errors that nobody reads."""
        for delivery, _, _ in self._waiting:
            delivery.add_done_callback(_read_error)

    async def _confirm_first(self) -> None:
        """aiokafka's idempotent producer retries for ever; a judge must learn that it cannot be sure."""
        delivery, _, self._due = self._waiting[0]
        if not delivery.done():
            await asyncio.shield(delivery)
        self._count_first()

    def _count_first(self) -> None:
        delivery, type_name, _ = self._waiting[0]
        self._last = delivery.result()
        self._waiting.popleft()
        self.confirmed[type_name] += 1
        if self._on_confirmed:
            self._on_confirmed(_place_of(self._last))


def _place_of(metadata: Any) -> Place | None:
    known = metadata is not None and metadata.offset is not None and metadata.offset >= 0
    return Place(metadata.partition, metadata.offset) if known else None


def _read_error(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
