"""How does a judge publish? A small async client that returns once the broker has the event.

Idempotent and `acks=all`: the broker drops its own duplicates (KIP-98), and every replica in sync has the event
before a call returns. A call that cannot be sure raises DeliveryUncertain; sending again is always harmless.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from datetime import datetime
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NoBrokersAvailable,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from solve_producer.deliveries import Deliveries
from solve_producer.errors import (
    BrokerUnreachable,
    DeliveryUncertain,
    InvalidEvent,
    NotAllowed,
    ProducerError,
    RecordTooLarge,
    TopicMissing,
)
from solve_producer.metrics import metrics_in, type_of
from solve_producer.tracing import sending
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_schemas.record import DEFAULT_SOURCE, EncodedRecord, encode

# Under the broker's own limit (message.max.bytes, 1 MiB by default) with room for a batch's frame.
MAX_REQUEST_BYTES = 1_000_000
MAX_BATCH_BYTES = 256 * 1024
LINGER_MS = 5
ABANDON_AFTER_S = 1.0

SomeEvent = TypeVar("SomeEvent", UserRegistered, SubmissionSolved, SubmissionRevoked)


class SolveProducer:
    """Publishes events of one judge.

    Use it as `async with SolveProducer() as producer:` and share it between tasks; it belongs to one event loop.
    A cancelled call leaves its event sent or not sent, as with DeliveryUncertain.
    """

    def __init__(
        self,
        connection: KafkaConnection | None = None,
        *,
        source: str = DEFAULT_SOURCE,
        delivery_timeout_s: float = 30.0,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`connection` defaults to the environment; `source` names the judge in each event (CloudEvents `source`).

        What is published is counted in `registry` (such as `prometheus_client.REGISTRY`), which producers may share.
        """
        self._connection = connection or KafkaConnection()
        self._source = source
        self._delivery_timeout_s = delivery_timeout_s
        self._metrics = metrics_in(registry)
        self._producer: Any = None
        self._restarting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connects. Raises BrokerUnreachable, TopicMissing, NotAllowed."""
        self._producer = await self._connect()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Sends what is still waiting, and disconnects."""
        await _stop(self._producer, self._delivery_timeout_s)

    async def submission_solved(  # noqa: PLR0913 - the event's fields, by name
        self,
        *,
        submission_id: str,
        user_id: str,
        problem_id: str,
        judged_at: datetime,
        submitted_at: datetime | None = None,
        language: str | None = None,
        contest_id: str | None = None,
    ) -> None:
        """The submission is right. Times need a zone. Raises InvalidEvent and what `send` raises."""
        fields = {name: value for name, value in locals().items() if name != "self"}
        await self.send(_event(SubmissionSolved, fields))

    async def submission_revoked(
        self, *, submission_id: str, user_id: str, problem_id: str, judged_at: datetime, reason: str | None = None
    ) -> None:
        """The submission counts no more. Raises InvalidEvent and what `send` raises."""
        fields = {name: value for name, value in locals().items() if name != "self"}
        await self.send(_event(SubmissionRevoked, fields))

    async def user_registered(self, *, user_id: str, username: str, registered_at: datetime) -> None:
        """The user exists, or has another name from this time on. Raises InvalidEvent and what `send` raises."""
        fields = {name: value for name, value in locals().items() if name != "self"}
        await self.send(_event(UserRegistered, fields))

    async def send(self, event: Event) -> None:
        """Returns once the broker has the event.

        Raises DeliveryUncertain, BrokerUnreachable, TopicMissing, NotAllowed, RecordTooLarge.
        """
        await self.publish([event])

    async def publish(self, events: Iterable[Event] | AsyncIterable[Event]) -> int:
        """Publishes many; takes them from the iterable only as fast as the brokers do. How many were published.

        Raises what `send` raises; then an unknown part was published, and publishing all again is harmless.
        """
        with sending(self._connection.topic) as call:
            published = await self.publish_records(_encoded(events, self._source, call.traceparent))
            call.sent(published)
        return published

    async def publish_records(self, records: AsyncIterable[EncodedRecord]) -> int:
        """Like `publish`, for records that are encoded already; a trace that one carries is left as it is."""
        deliveries = Deliveries(self._delivery_timeout_s)
        began = perf_counter()
        error_type = ""
        try:
            await self._deliver(records, deliveries)
        except BaseException as error:
            error_type = type(error).__name__
            raise
        finally:
            if self._metrics:
                self._metrics.published(self._connection.topic, deliveries, perf_counter() - began, error_type)
        return deliveries.sent

    async def _deliver(self, records: AsyncIterable[EncodedRecord], deliveries: Deliveries) -> None:
        producer, topic = self._producer, self._connection.topic
        try:
            async for record in records:
                deliveries.handed += 1
                delivery = await producer.send(topic, record.value, key=record.key, headers=record.headers)
                await deliveries.add(delivery, type_of(record) if self._metrics else "")
            await deliveries.confirm_all()
        except (TimeoutError, KafkaError, OSError) as error:
            deliveries.abandon()
            await self._replace(producer)
            raise self._translated(error, deliveries.sent) from error

    async def _connect(self) -> Any:
        producer = AIOKafkaProducer(
            **self._connection.client_options(),
            client_id="solve-producer",
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=LINGER_MS,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(self._delivery_timeout_s * 1000),
        )
        try:
            await producer.start()
            # all topics, because asking for one by name could make a broker create it
            if self._connection.topic not in (await producer.client.fetch_all_metadata()).topics():
                raise UnknownTopicOrPartitionError(self._connection.topic)
        except (TimeoutError, KafkaError, OSError) as error:
            await producer.stop()
            raise self._translated(error, 0, connecting=True) from error
        except asyncio.CancelledError:
            await producer.stop()
            raise
        return producer

    async def _replace(self, failed: Any) -> None:
        """An idempotent producer that lost its place cannot go on (KIP-360): the next call gets a new one."""
        async with self._restarting:
            if self._producer is failed:
                self._producer = _Reconnecting(self)
                await _stop(failed, ABANDON_AFTER_S)

    def _translated(self, error: BaseException, sent: int, *, connecting: bool = False) -> ProducerError:
        said = str(error) or type(error).__name__
        where = self._connection.bootstrap_servers
        if isinstance(error, UnknownTopicOrPartitionError):
            return TopicMissing(f"topic {self._connection.topic} does not exist; create it with: solve-projector setup")
        if isinstance(error, SaslAuthenticationFailed | TopicAuthorizationFailedError):
            return NotAllowed(f"Kafka at {where} refuses us: {said}; check KAFKA_SASL_USERNAME and the topic's ACLs")
        if isinstance(error, MessageSizeTooLargeError):
            return RecordTooLarge(f"the broker takes no record this large: {said}; shorten the event's fields")
        if connecting or isinstance(error, NoBrokersAvailable | KafkaConnectionError):
            return BrokerUnreachable(f"no Kafka broker answers at {where}: {said}; {self._connection.advice()}")
        return DeliveryUncertain(
            f"Kafka at {where} confirmed {sent} events, then: {said}; the others may be in the log or not. "
            "Send them again: the same event counts once"
        )


class _Reconnecting:
    """Stands in for a producer that failed, and connects at the next use."""

    def __init__(self, owner: SolveProducer) -> None:
        self._owner = owner

    async def send(self, *words: Any, **named: Any) -> Any:
        async with self._owner._restarting:
            if self._owner._producer is self:
                self._owner._producer = await self._owner._connect()
        return await self._owner._producer.send(*words, **named)

    async def stop(self) -> None:
        """There is nothing to stop."""


async def _stop(producer: Any, patience_s: float) -> None:
    """Stops a producer; its own `stop` would wait for ever for what it cannot deliver."""
    stopping = asyncio.create_task(producer.stop())
    await asyncio.wait([stopping], timeout=patience_s)
    if not stopping.done():
        stopping.cancel()
        await asyncio.wait([stopping])
        await producer._sender.close()
        await producer.client.close()


def _event(model: type[SomeEvent], fields: dict[str, Any]) -> SomeEvent:
    try:
        return model(**fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
        raise InvalidEvent(f"{model.type_name}: {said}") from error


async def _encoded(
    events: Iterable[Event] | AsyncIterable[Event], source: str, traceparent: str | None
) -> AsyncIterator[EncodedRecord]:
    if isinstance(events, AsyncIterable):
        async for event in events:
            yield encode(event, source, traceparent)
    else:
        for event in events:
            yield encode(event, source, traceparent)
