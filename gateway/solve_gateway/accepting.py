"""Takes the events of a request: reads, publishes, and collects an outcome for each, in bounded memory.

Events are published in the order in which they came, some at a time. After one that Kafka did not take, the rest is
read and not published, so that a later event never overtakes an earlier one of the same user.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from solve_gateway.outcomes import Outcome, Refusal
from solve_gateway.telemetry import GatewayMetrics
from solve_runtime.http.problem import Problem
from solve_schemas.record import EncodedRecord

PUBLISHED_AT_ONCE = 500

Read = EncodedRecord | Refusal


class Publishes(Protocol):
    """The part of a publisher that is used here."""

    async def publish(self, records: Sequence[EncodedRecord], token: str) -> list[Outcome]:
        """One outcome for each record, in order."""


class Accepting:
    """The events of one request of a token."""

    def __init__(self, publisher: Publishes, metrics: GatewayMetrics, token: str, events_max: int) -> None:
        self.outcomes: list[Outcome] = []
        self._publisher = publisher
        self._metrics = metrics
        self._token = token
        self._events_max = events_max
        self._waiting: list[tuple[int, EncodedRecord]] = []
        self._ended: Refusal | None = None  # why nothing more is published

    async def take_all(self, events: AsyncIterator[Read]) -> None:
        """Takes them to the end. Raises Problem where they are too many; those before are published all the same."""
        try:
            async for one in events:
                if len(self.outcomes) == self._events_max:
                    raise too_many(self._events_max)
                await self.take(one)
        finally:
            await self.settle()

    async def take(self, one: Read) -> None:
        """Takes one; publishes when enough have come together."""
        refusal = one if isinstance(one, Refusal) else self._ended
        if refusal:
            self._metrics.count_events(self._token, refusal.reason)
            self.outcomes.append(refusal)
            return
        assert isinstance(one, EncodedRecord)  # noqa: S101 - what is no refusal
        self._waiting.append((len(self.outcomes), one))
        self.outcomes.append(None)
        if len(self._waiting) >= PUBLISHED_AT_ONCE:
            await self.settle()

    async def settle(self) -> None:
        """Publishes what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        published = await self._publisher.publish([record for _, record in waiting], self._token)
        for (index, _), outcome in zip(waiting, published, strict=True):
            self.outcomes[index] = outcome
            if isinstance(outcome, Refusal):
                self._ended = outcome


def too_many(events_max: int) -> Problem:
    """The problem of a request that is not read to its end."""
    return Problem(
        413,
        "too-many-events",
        "Too many events",
        f"A request may have {events_max} events; send the others in another request.",
    )
