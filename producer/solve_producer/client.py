"""The async client: a call returns once the broker has the event.

Idempotent and `acks=all`: the broker drops its own duplicates (KIP-98), and every replica in sync has the event before
a call returns. A call that cannot be sure raises DeliveryUncertain; sending again is always harmless.
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from datetime import datetime
from time import perf_counter, time
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from solve_producer.broker_connection import FAILURES, STOPPED, BrokerConnection
from solve_producer.deliveries import Deliveries, OnConfirmed, Place
from solve_producer.errors import InvalidEvent, InvalidSettings, ProducerMisused
from solve_producer.metrics import metrics_in, type_of
from solve_producer.tracing import sending
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import settings_problems
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import (
    EVENT_MODELS,
    Event,
    ProblemRestored,
    ProblemWithdrawn,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)
from solve_schemas.messages import message_of
from solve_schemas.record import EncodedRecord, encode, out_of_range

TIMEOUT_MAX_S = 86_400
SomeEvent = TypeVar("SomeEvent", bound=Event)
NOT_STARTED = (
    "this producer is not started; write `async with SolveProducer() as producer:`, or call `await producer.start()` "
    "when your application starts"
)
OTHER_LOOP = (
    "this producer was started in another event loop, such as that of an earlier asyncio.run; start and use it in one "
    "loop, or take SyncSolveProducer in synchronous code"
)


class SolveProducer:
    """Publishes events of one judge.

    Use it as `async with SolveProducer() as producer:`, or call `start` and `stop`, and share it between tasks. It
    belongs to one event loop and one process. No call takes longer than `delivery_timeout_s`. A cancelled call leaves
    its event sent or not sent, as with DeliveryUncertain.
    """

    def __init__(
        self,
        connection: KafkaConnection | None = None,
        *,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        source: str = DEFAULT_SOURCE,
        delivery_timeout_s: float = 30.0,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """What is not given is read from KAFKA_BOOTSTRAP_SERVERS, SOLVE_TOPIC and the other KAFKA_ variables.

        `source` names the judge in each event (CloudEvents `source`). What is published is counted in `registry` (such
        as `prometheus_client.REGISTRY`), which producers may share. Raises InvalidSettings.
        """
        self._settings = _settings_of(connection, bootstrap_servers, topic)
        if not isinstance(delivery_timeout_s, int | float) or not 0 < delivery_timeout_s <= TIMEOUT_MAX_S:
            raise InvalidSettings(
                f"`delivery_timeout_s` must be a number of seconds, above 0 and up to {TIMEOUT_MAX_S}"
            )
        if not isinstance(source, str) or not source or not source.isprintable():
            raise InvalidSettings("`source` must be text that names the judge, without control characters")
        self._source = source
        self._delivery_timeout_s = delivery_timeout_s
        self._metrics = metrics_in(registry)
        self._brokers: BrokerConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._was_stopped = False

    async def start(self) -> None:
        """Begins to connect, in the background; a broker that is unavailable is retried. Raises TlsFileError.

        Started already, it does nothing. After a fork, or in a new loop once the old one is closed, it starts anew.
        """
        if self._brokers and self._pid == os.getpid() and self._loop and not self._loop.is_closed():
            self._started()
            return
        self._loop, self._pid = asyncio.get_running_loop(), os.getpid()
        self._brokers = BrokerConnection(self._settings, self._delivery_timeout_s)

    async def stop(self) -> None:
        """Sends what is still waiting, and disconnects. Stopped already, it does nothing."""
        if self._brokers is None:
            return
        if self._pid == os.getpid() and self._loop and not self._loop.is_closed():
            self._started()
            brokers, self._brokers = self._brokers, None
            self._was_stopped = True
            await brokers.close()
        else:  # the connection is the parent's, or went with its loop
            self._brokers, self._was_stopped = None, True

    async def connect(self) -> None:
        """Waits until the brokers are connected: for programs that would rather not start without them.

        Raises BrokerUnreachable, TopicMissing or NotAllowed after the first attempt that fails.
        """
        await self._started().connected(asyncio.get_running_loop().time() + self._delivery_timeout_s, patient=False)

    async def ask(self, timeout_s: float) -> None:
        """Asks the brokers for the topic, as a probe does. Raises BrokerUnreachable, TopicMissing or NotAllowed."""
        await self._started().ask(asyncio.get_running_loop().time() + timeout_s)

    async def __aenter__(self) -> Self:
        """Starts it, as `start` does."""
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stops it, as `stop` does."""
        await self.stop()

    async def submission_solved(  # noqa: PLR0913 - the event's fields, by name
        self,
        *,
        submission_id: str | int | UUID,
        user_id: str | int | UUID,
        problem_id: str | int | UUID,
        judged_at: datetime,
        submitted_at: datetime | None = None,
        language: str | None = None,
        contest_id: str | int | UUID | None = None,
        revision: int | None = None,
    ) -> None:
        """The submission is right. Times need a zone. Raises InvalidEvent and what `send` raises."""
        await self.send(
            event_of(
                SubmissionSolved, submission_id=submission_id, user_id=user_id, problem_id=problem_id,
                judged_at=judged_at, submitted_at=submitted_at, language=language, contest_id=contest_id,
                revision=revision,
            )
        )  # fmt: skip

    async def submission_revoked(
        self,
        *,
        submission_id: str | int | UUID,
        user_id: str | int | UUID,
        problem_id: str | int | UUID,
        judged_at: datetime,
        reason: str | None = None,
        revision: int | None = None,
    ) -> None:
        """The submission counts no more. Raises InvalidEvent and what `send` raises."""
        await self.send(
            event_of(
                SubmissionRevoked, submission_id=submission_id, user_id=user_id, problem_id=problem_id,
                judged_at=judged_at, reason=reason, revision=revision,
            )
        )  # fmt: skip

    async def user_registered(
        self,
        *,
        user_id: str | int | UUID,
        username: str | None = None,
        registered_at: datetime,
        listed: bool | None = None,
    ) -> None:
        """The user exists, or has another name or listing from this time on.

        With `listed` false the user has a profile and a count, and is on no board. Without a `username` a user keeps
        the name that the site wrote into `users`. Raises InvalidEvent and what `send` raises.
        """
        await self.send(
            event_of(UserRegistered, user_id=user_id, username=username, registered_at=registered_at, listed=listed)
        )

    async def user_removed(
        self,
        *,
        user_id: str | int | UUID,
        removed_at: datetime,
        reason: str | None = None,
        erase: bool | None = None,
    ) -> None:
        """The user is shown nowhere until a later registration; with `erase` the name is kept nowhere of ours.

        Raises InvalidEvent and what `send` raises.
        """
        await self.send(event_of(UserRemoved, user_id=user_id, removed_at=removed_at, reason=reason, erase=erase))

    async def problem_withdrawn(
        self, *, problem_id: str | int | UUID, withdrawn_at: datetime, reason: str | None = None
    ) -> None:
        """The problem counts for nobody, until it is restored. Raises InvalidEvent and what `send` raises."""
        await self.send(event_of(ProblemWithdrawn, problem_id=problem_id, withdrawn_at=withdrawn_at, reason=reason))

    async def problem_restored(
        self, *, problem_id: str | int | UUID, restored_at: datetime, reason: str | None = None
    ) -> None:
        """The problem counts as before it was withdrawn. Raises InvalidEvent and what `send` raises."""
        await self.send(event_of(ProblemRestored, problem_id=problem_id, restored_at=restored_at, reason=reason))

    async def send(self, event: Event) -> Place | None:
        """Returns once the broker has the event: where in the log, if the broker says so.

        Raises DeliveryUncertain, BrokerUnreachable, TopicMissing, NotAllowed, RecordTooLarge, ProducerMisused.
        """
        return (await self._publish([event])).last_place

    async def publish(self, events: Iterable[Event] | AsyncIterable[Event]) -> int:
        """Publishes many, taken from the iterable only as fast as the brokers do. Returns how many.

        Raises what `send` raises; then an unknown part was published, and publishing all again is harmless.
        """
        return (await self._publish(events)).sent

    async def publish_records(
        self, records: AsyncIterable[EncodedRecord], on_confirmed: OnConfirmed | None = None
    ) -> int:
        """Like `publish`, for records that are encoded already; a trace that one carries is left as it is.

        `on_confirmed` gets the place of each in turn, so whoever counts its calls knows which the broker has for
        certain, also if this raises.
        """
        return (await self._publish_records(records, on_confirmed)).sent

    async def _publish(self, events: Iterable[Event] | AsyncIterable[Event]) -> Deliveries:
        with sending(self._settings.topic) as call:
            deliveries = await self._publish_records(_encoded(events, self._source, call.traceparent))
            call.sent(deliveries.sent)
        return deliveries

    async def _publish_records(
        self, records: AsyncIterable[EncodedRecord], on_confirmed: OnConfirmed | None = None
    ) -> Deliveries:
        brokers = self._started()
        deliveries = Deliveries(self._delivery_timeout_s, on_confirmed)
        began = perf_counter()
        error_type = ""
        try:
            await self._deliver(brokers, records, deliveries)
        except BaseException as error:
            error_type = type(error).__name__
            deliveries.abandon()
            raise
        finally:
            if self._metrics:
                self._metrics.published(self._settings.topic, deliveries, perf_counter() - began, error_type)
        return deliveries

    async def _deliver(
        self, brokers: BrokerConnection, records: AsyncIterable[EncodedRecord], deliveries: Deliveries
    ) -> None:
        client, topic = brokers.client, self._settings.topic
        try:
            async with deliveries.in_time():
                async for record in records:
                    due = deliveries.take()
                    client = brokers.client or await brokers.connected(due)
                    delivery = await client.send(topic, record.value, key=record.key, headers=record.headers)
                    await deliveries.add(delivery, type_of(record) if self._metrics else "")
                await deliveries.confirm_all()
        except FAILURES as error:
            if deliveries.waits_for_source:
                raise
            brokers.replace(client)
            raise brokers.delivery_error(error, deliveries) from error

    def _started(self) -> BrokerConnection:
        """The connection, if it may be used here and now. Raises ProducerMisused."""
        if self._brokers is None:
            raise ProducerMisused(STOPPED if self._was_stopped else NOT_STARTED)
        if self._pid != os.getpid():
            raise ProducerMisused(
                f"this producer was started in process {self._pid} before the fork of this one, {os.getpid()}; start "
                "it in each worker after the fork, or take SyncSolveProducer, which connects anew by itself"
            )
        if self._loop is not asyncio.get_running_loop():
            raise ProducerMisused(OTHER_LOOP)
        return self._brokers


def event_of(model: type[SomeEvent], **fields: Any) -> SomeEvent:
    """An event of these fields. Raises InvalidEvent."""
    try:
        event = model(**fields)
    except ValidationError as error:
        raise InvalidEvent(f"{model.type_name}: {message_of(error)}") from error
    if refused := out_of_range(event, int(time() * 1000)):
        raise InvalidEvent(f"{model.type_name}: {refused}")
    return event


def _settings_of(
    connection: KafkaConnection | None, bootstrap_servers: str | None, topic: str | None
) -> KafkaConnection:
    named = {"bootstrap_servers": bootstrap_servers, "topic": topic}
    given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if connection is not None and not isinstance(connection, KafkaConnection):
        raise InvalidSettings("`connection` must be a KafkaConnection; give an address as `bootstrap_servers`")
    if connection and given:
        raise InvalidSettings(f"`connection` and `{next(iter(given))}` are both given; give one of them")
    try:
        return connection or KafkaConnection(**given)
    except ValidationError as error:
        raise InvalidSettings("; ".join(settings_problems(error))) from None


async def _encoded(
    events: Iterable[Event] | AsyncIterable[Event], source: str, traceparent: str | None
) -> AsyncIterator[EncodedRecord]:
    if isinstance(events, AsyncIterable):
        async for event in events:
            yield _encode(event, source, traceparent)
    elif isinstance(events, Event) or not isinstance(events, Iterable):
        raise InvalidEvent("`publish` takes many events, such as a list of them; `send` takes one")
    else:
        for event in events:
            yield _encode(event, source, traceparent)


def _encode(event: Event, source: str, traceparent: str | None) -> EncodedRecord:
    if not isinstance(event, Event):
        models = ", ".join(model.__name__ for model in EVENT_MODELS.values())
        raise InvalidEvent(f"an event is one of {models}, not {type(event).__name__}")
    return encode(event, source, traceparent)
