"""The connection to the brokers: made in the background, retried while it fails, and made anew after a failure.

A broker that is unavailable keeps no process from starting. Whoever publishes waits for the connection until their own
deadline, and then learns why there is none.
"""

import asyncio
import logging
import random
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from solve_producer.deliveries import Deliveries
from solve_producer.errors import (
    BrokerUnreachable,
    DeliveryUncertain,
    NotAllowed,
    ProducerError,
    ProducerMisused,
    RecordTooLarge,
    TopicMissing,
)
from solve_producer.forks import keep_from_children
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import retrieve

# Under the broker's own limit (message.max.bytes, 1 MiB by default) with room for a batch's frame.
MAX_REQUEST_BYTES = 1_000_000
MAX_BATCH_BYTES = 256 * 1024
LINGER_MS = 5
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 1.0
ABANDON_AFTER_S = 1.0
FORCE_S = 0.5  # a stop that is late ends within this
FAILURES = (TimeoutError, KafkaError, OSError, ProducerError)
STOPPED = "this producer is stopped; start it again with `await producer.start()`, or make a new one"

logger = logging.getLogger("solve_producer")
logger.addHandler(logging.NullHandler())


class BrokerConnection:
    """One producer's connection; it belongs to the event loop that made it."""

    def __init__(self, settings: KafkaConnection, timeout_s: float) -> None:
        """Begins to connect. Raises TlsFileError."""
        self._settings = settings
        self._timeout_s = timeout_s
        self._options = settings.client_options()
        self._error: ProducerError | None = None
        self._attempted, self._retry_now = asyncio.Event(), asyncio.Event()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._closed = False
        self.client: Any = None  # aiokafka's, while it is connected
        logger.info(
            "publishing to topic %s at %s (%s)",
            settings.topic, settings.bootstrap_servers, settings.security_protocol,
        )  # fmt: skip
        self._connecting = asyncio.create_task(self._connect_until_open())
        keep_from_children(self)

    async def connected(self, due: float, *, patient: bool = True) -> Any:
        """The connected client. Raises why there is none by the time `due`; at once if waiting cannot help.

        Without patience one failed attempt is enough.
        """
        self._retry_now.set()
        try:
            async with asyncio.timeout_at(due):
                while self.client is None:
                    await self._attempted.wait()
                    if self._closed:
                        raise ProducerMisused(STOPPED)
                    if self._error and (not patient or isinstance(self._error, TopicMissing | NotAllowed)):
                        break
        except TimeoutError:
            pass
        if self.client is None:
            raise self._reason()
        return self.client

    async def ask(self, due: float) -> None:
        """Asks the brokers for the topic. Raises why they do not say it by the time `due`."""
        client = await self.connected(due, patient=False)
        try:
            async with asyncio.timeout_at(due):
                await self._find_topic(client)
        except FAILURES as error:
            raise self._definite(error) or self._unreachable() from error

    def replace(self, failed: Any) -> None:
        """An idempotent producer that lost its place cannot continue (KIP-360): the next call gets a new one."""
        if failed is not None and self.client is failed and not self._closed:
            self.client, self._error = None, None
            abandoned = asyncio.create_task(_stop(failed, ABANDON_AFTER_S))
            self._abandoned.add(abandoned)
            abandoned.add_done_callback(self._abandoned.discard)
            self._connecting = asyncio.create_task(self._connect_until_open())

    async def close(self) -> None:
        """Sends what is still waiting, and disconnects; takes no longer than the delivery timeout."""
        client, self.client, self._closed = self.client, None, True
        self._announce_attempt()
        stopping = {asyncio.create_task(_end(self._connecting)), *self._abandoned}
        if client is not None:
            stopping.add(asyncio.create_task(_stop(client, self._timeout_s)))
        await asyncio.wait(stopping, timeout=self._timeout_s + FORCE_S)

    def after_fork(self) -> None:
        """A child finds no client here that it could use by accident."""
        self._closed = True

    async def _connect_until_open(self) -> None:
        delay = FIRST_RETRY_S
        while self.client is None:
            self._retry_now.clear()
            try:
                self.client = await self._connect()
                self._error = None
            except Exception as error:  # noqa: BLE001 - whatever it is, the next call must learn of it
                level = logging.DEBUG if self._error else logging.WARNING
                self._error = self._definite(error) or self._unreachable()
                self._error.__cause__ = error
                logger.log(level, "%s; connecting is retried in the background", self._error)
            self._announce_attempt()
            if self._error:
                await asyncio.sleep(FIRST_RETRY_S * random.random())  # noqa: S311 - jitter
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._retry_now.wait(), delay * random.uniform(0.5, 1))  # noqa: S311
                delay = min(2 * delay, LONGEST_RETRY_S)

    def _announce_attempt(self) -> None:
        self._attempted.set()
        if not self._closed:
            self._attempted = asyncio.Event()

    async def _connect(self) -> Any:
        client = AIOKafkaProducer(
            **self._options,
            client_id="solve-producer",
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=LINGER_MS,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(self._timeout_s * 1000),
        )
        try:
            await client.start()
            await self._find_topic(client)
        except BaseException:
            await _stop(client, FORCE_S)
            raise
        return client

    async def _find_topic(self, client: Any) -> None:
        # all topics, because asking for one by name could make a broker create it
        if self._settings.topic not in (await client.client.fetch_all_metadata()).topics():
            raise UnknownTopicOrPartitionError(self._settings.topic)

    def delivery_error(self, error: BaseException, deliveries: Deliveries) -> ProducerError:
        """The error of a call that failed after some of its events may have been sent."""
        if definite := self._definite(error):
            return definite
        if deliveries.in_flight:
            where, said = self._settings.bootstrap_servers, str(error) or "no confirmation in time"
            return DeliveryUncertain(
                f"Kafka at {where} confirmed {deliveries.sent} events, then: {said}; {deliveries.in_flight} more may "
                "be in the log or not. Send them again: the same event counts once"
            )
        return error if isinstance(error, ProducerError) else self._reason()

    def _reason(self) -> ProducerError:
        """Why there is no connection, as an error with a traceback of its own for each that waits."""
        error = self._error or self._unreachable()
        reason = type(error)(str(error))
        reason.__cause__ = error.__cause__
        return reason

    def _unreachable(self) -> BrokerUnreachable:
        where, advice = self._settings.bootstrap_servers, self._settings.advice()
        return BrokerUnreachable(f"no Kafka broker answers at {where}; {advice}, then send again")

    def _definite(self, error: BaseException) -> ProducerError | None:
        said, where = str(error) or type(error).__name__, self._settings.bootstrap_servers
        if isinstance(error, UnknownTopicOrPartitionError):
            topic = self._settings.topic
            return TopicMissing(f"topic {topic} does not exist at {where}; create it with: solve-projector setup")
        if isinstance(error, SaslAuthenticationFailed | TopicAuthorizationFailedError):
            return NotAllowed(f"Kafka at {where} refuses us: {said}; check KAFKA_SASL_USERNAME and the topic's ACLs")
        if isinstance(error, MessageSizeTooLargeError):
            return RecordTooLarge(f"the broker takes no record this large: {said}; shorten the event's fields")
        return None


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancels until it has ended: a Kafka client may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=FORCE_S)


async def _stop(client: Any, patience_s: float) -> None:
    """Stops a client; its own `stop` would wait for ever for what it cannot deliver."""
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait([stopping], timeout=patience_s)
    if stopping.done():
        retrieve(stopping)
        return
    client._message_accumulator.fail_all(KafkaConnectionError("the connection was given up"))
    sender = client._sender.sender_task
    ends = [asyncio.create_task(_end(task)) for task in (stopping, sender) if task is not None]
    # without its connections, the sender has nothing left to wait for
    await asyncio.wait([*ends, asyncio.create_task(client.client.close())], timeout=FORCE_S)
