"""The parts of a gateway that its routes share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from solve_gateway.limits import EventRate, InFlight, InTurn
from solve_gateway.publishing import Publisher
from solve_gateway.settings import GatewaySettings
from solve_gateway.spool import Spool
from solve_gateway.telemetry import GatewayMetrics
from solve_gateway.tokens import KnownTokens
from solve_producer.client import SolveProducer
from solve_producer.errors import ProducerError
from solve_runtime.kafka_settings import KafkaConnection

PROBE_S = 2.0
PROBE_AGAIN_S = 1.0
CALLBACKS_AT_ONCE = 4


@dataclass(slots=True)
class Gateway:
    """One gateway. Made by `open_gateway`."""

    topic: str
    settings: GatewaySettings
    tokens: KnownTokens
    metrics: GatewayMetrics
    producer: SolveProducer
    publisher: Publisher
    in_flight: InFlight
    callbacks: InTurn
    rate: EventRate
    spool: Spool | None
    _probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _probed_at: float = 0.0
    _kafka_problem: str = ""

    async def missing(self) -> list[str]:
        """What it cannot do without and does not have now; the brokers are asked once a second at most."""
        self.tokens.refresh()
        async with self._probing:
            if monotonic() - self._probed_at >= PROBE_AGAIN_S:
                self._kafka_problem = await self._ask_kafka()
                self._probed_at = monotonic()
        tokens_problem = "the file of tokens cannot be used" if self.tokens.problem else ""
        spool_problem = await asyncio.to_thread(self.spool.problem) if self.spool else ""
        return [one for one in (self._kafka_problem, tokens_problem, spool_problem) if one]

    async def _ask_kafka(self) -> str:
        try:
            await self.producer.ask(PROBE_S)
        except ProducerError as error:
            return f"Kafka: {type(error).__name__}"
        return ""


@asynccontextmanager
async def open_gateway(
    connection: KafkaConnection,
    settings: GatewaySettings,
    tokens: KnownTokens,
    metrics: GatewayMetrics,
    spool: Spool | None,
) -> AsyncIterator[Gateway]:
    """Begins to connect, in the background; on exit, sends what is still waiting."""
    timeout_s = settings.gateway_delivery_timeout_s
    async with SolveProducer(connection, delivery_timeout_s=timeout_s, registry=metrics.registry) as producer:
        yield Gateway(
            connection.topic,
            settings,
            tokens,
            metrics,
            producer,
            Publisher(producer, metrics),
            InFlight(settings.gateway_in_flight_bytes, metrics.hold),
            InTurn(CALLBACKS_AT_ONCE, timeout_s),
            EventRate(settings.gateway_events_per_s),
            spool,
        )
