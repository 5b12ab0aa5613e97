"""Which events of one call has the broker confirmed? Keeps those that are under way, in order, and not too many."""

import asyncio
from collections import Counter, deque
from typing import Any

IN_FLIGHT_EVENTS = 10_000


class Deliveries:
    """The events of one call to `publish`."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._waiting: deque[tuple[asyncio.Future[Any], str]] = deque()
        self.handed = 0  # to the client, also where it refused
        self.confirmed: Counter[str] = Counter()

    @property
    def sent(self) -> int:
        """How many the broker has for certain."""
        return self.confirmed.total()

    @property
    def uncertain(self) -> int:
        """How many were handed to the client and are not known to have arrived."""
        return self.handed - self.sent

    async def add(self, delivery: asyncio.Future[Any], type_name: str) -> None:
        """One more is under way; waits for the first where there are too many."""
        self._waiting.append((delivery, type_name))
        if len(self._waiting) >= IN_FLIGHT_EVENTS:
            await self._confirm_first()

    async def confirm_all(self) -> None:
        """Returns once the broker has them all. Raises aiokafka's errors, and TimeoutError."""
        while self._waiting:
            await self._confirm_first()

    def abandon(self) -> None:
        """What became of the others is part of "may be in the log or not"; asyncio need not warn of it."""
        for delivery, _ in self._waiting:
            delivery.add_done_callback(_look_at)

    async def _confirm_first(self) -> None:
        """aiokafka's idempotent producer tries for ever; a judge must hear that it cannot be sure."""
        delivery, type_name = self._waiting[0]
        if not delivery.done():
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(delivery)
        delivery.result()
        self._waiting.popleft()
        self.confirmed[type_name] += 1


def _look_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
