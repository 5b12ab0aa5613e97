"""Publishes records and says of each what became of it. A record is accepted once the broker has confirmed it."""

from collections.abc import AsyncIterator, Sequence

import structlog

from solve_gateway.outcomes import Outcome, Refusal
from solve_gateway.telemetry import ACCEPTED, GatewayMetrics
from solve_producer.client import SolveProducer
from solve_producer.deliveries import Place
from solve_producer.errors import DeliveryUncertain, ProducerError, RecordTooLarge
from solve_schemas.record import EncodedRecord

UNAVAILABLE = Refusal(
    503,
    "kafka-unavailable",
    "Kafka is unavailable, so it may be in the log or not; send it again: the same event counts once",
)
UNCONFIRMED = Refusal(
    503,
    "not-confirmed",
    "Kafka did not confirm it in time, so it may be in the log or not; send it again: the same event counts once",
)
BATCH_TOO_LARGE = "the broker refuses a batch of events for its size; raise max.message.bytes of the topic"

log = structlog.get_logger()


class Publisher:
    """Publishes for all requests, through one client."""

    def __init__(self, producer: SolveProducer, metrics: GatewayMetrics) -> None:
        self._producer = producer
        self._metrics = metrics

    async def publish(self, records: Sequence[EncodedRecord], token: str, *, patient: bool = False) -> list[Outcome]:
        """One outcome for each record, in order. Records of one key are in the log in this order.

        After a first record that is not confirmed, the others are not said to be delivered, though they may be.
        Without patience, nothing waits for brokers that are known to be unavailable.
        """
        places: list[Place | None] = []
        refusal = UNCONFIRMED
        try:
            if not patient:
                await self._producer.connect()
            await self._producer.publish_records(_each(records), places.append)
        except ProducerError as error:
            refusal = self._refusal(error)
        lost = len(records) - len(places)
        if places:
            self._metrics.count_events(token, ACCEPTED, len(places))
        if lost:
            self._metrics.count_events(token, refusal.reason, lost)
        return [*places, *[refusal] * lost]

    def _refusal(self, error: ProducerError) -> Refusal:
        """The error names servers and settings: it goes to the log alone.

        Of what is too large the broker says so of a whole batch, in which the events of others are as well: none of
        them is to blame, and a 413 would have a judge drop them.
        """
        if isinstance(error, RecordTooLarge):
            log.warning(BATCH_TOO_LARGE, action="events_not_delivered", error=str(error))
            return UNCONFIRMED
        log.warning("events were not delivered", action="events_not_delivered", error=str(error))
        return UNCONFIRMED if isinstance(error, DeliveryUncertain) else UNAVAILABLE


async def _each(records: Sequence[EncodedRecord]) -> AsyncIterator[EncodedRecord]:
    for record in records:
        yield record
