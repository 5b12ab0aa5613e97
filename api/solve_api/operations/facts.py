"""Publishes what an admin decides about a user or a problem: the log is the truth, also for admins.

Each decision is recorded before it is published, and a second row says where in the log it is, or why it is not there.
No table of users or of facts is written here: the projector applies the event like any other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from solve_api.errors import LogUnavailable, PublishRefused, PublishUncertain, ReasonMissing
from solve_api.identity.actors import Actor
from solve_api.identity.audit import latest_time, recorded_deed
from solve_api.operations.fact_bodies import Published
from solve_producer.client import SolveProducer, SomeEvent, event_of
from solve_producer.deliveries import Place
from solve_producer.errors import BrokerUnreachable, DeliveryUncertain, InvalidEvent, ProducerError
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries
from solve_schemas.events import Event

FACTS_SQL = queries("solve_api.operations", "facts")

SOURCE = "solve-api"
TIMEOUT_S = 10.0
TICK = timedelta(microseconds=1)

log = structlog.get_logger()


class FactLog:
    """Puts facts into the log, and knows how far the log is applied."""

    def __init__(self, connection: KafkaConnection, pool: asyncpg.Pool) -> None:
        self._connection = connection
        self._pool = pool

    async def publish(self, actor: Actor, action: str, detail: Mapping[str, Any], event: Event) -> Published:
        """Publishes an event under a row of the activity, and returns once the brokers have it.

        The row says the time of the event, so that the next decision can be later before this one is applied.
        Raises AuditRefused before anything is published, and LogUnavailable, PublishRefused, PublishUncertain.
        """
        recorded = {**detail, "at": event.happened_at.isoformat()}
        async with recorded_deed(self._pool, actor, action, recorded) as found:
            place = await _send(self._connection, event)
            if place:
                found.update(place._asdict())
        return Published(
            type=event.type_name,
            at=event.happened_at,
            topic=self._connection.topic,
            partition=place.partition if place else None,
            offset=place.offset if place else None,
        )

    async def decided_at(self, actions: Sequence[str], about: Mapping[str, str]) -> datetime | None:
        """The time of the latest of these decisions about a user or a problem, applied or not."""
        return await latest_time(self._pool, actions, about)

    async def is_applied(self, place: Place | None) -> bool | None:
        """Whether PostgreSQL has what is at this place of the log; None without a place."""
        if place is None:
            return None
        return bool(await self._pool.fetchval(FACTS_SQL["is_applied"], self._connection.topic, *place))


def reason_of(text: str) -> str:
    """The reason in one line. Raises ReasonMissing."""
    if line := " ".join(text.split()):
        return line
    raise ReasonMissing("enter a reason, so that others can see why")


def event_at(model: type[SomeEvent], at: datetime, **fields: Any) -> SomeEvent:
    """An event of this time. Raises PublishRefused where our clock and PostgreSQL's are a day apart."""
    try:
        return event_of(model, **{model.time_name: at}, **fields)
    except InvalidEvent as error:
        raise _refused(model.type_name, error) from error


def later_than(now: datetime, *others: datetime | None) -> datetime:
    """A time that wins over what stands and what is on its way, whatever the clocks of its judge say."""
    return max([now, *(other + TICK for other in others if other)])


async def _send(connection: KafkaConnection, event: Event) -> Place | None:
    """Through a producer of its own: decisions are few, and a producer that is kept asks the brokers all the time."""
    try:
        async with SolveProducer(connection, source=SOURCE, delivery_timeout_s=TIMEOUT_S) as producer:
            await producer.connect()
            return await producer.send(event)
    except ProducerError as error:
        if isinstance(error, BrokerUnreachable):
            raise LogUnavailable(
                "Kafka does not answer right now, so nothing was published and nothing changes; try again in 5 seconds"
            ) from error
        if isinstance(error, DeliveryUncertain):
            raise PublishUncertain(
                "Kafka did not confirm this in time: it may be published or not. Look again in a moment; to publish it "
                "again is harmless"
            ) from error
        raise _refused(event.type_name, error) from error


def _refused(type_name: str, error: ProducerError) -> PublishRefused:
    log.warning("an event cannot be published", action="fact_refused", type=type_name, error=str(error))
    return PublishRefused(
        "this cannot be published, so nothing changes; the operator finds the reason in the log of this program"
    )
