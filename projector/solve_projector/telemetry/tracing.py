"""OpenTelemetry tracing: one span a batch, linked to the spans under which its events were published.

By OpenTelemetry's messaging conventions a batch's span has no single parent: it links to the context of each message.
Needs the extra `tracing` and one of OpenTelemetry's own variables; without either nothing of it is loaded, and no
record's headers are read.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from solve_projector.domain.batch import Batch
from solve_schemas.record import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link, TracerProvider

# OpenTelemetry's default limit; the SDK drops the rest.
MAX_LINKS = 128
FLUSH_TIMEOUT_S = 5.0
SCOPE = "solve-counts"
DEFAULT_SERVICE = "solve-projector"

log = structlog.get_logger()
GiveUp = Callable[[str], None]
# surrounds a batch's transaction; gives a function that records why the batch was given up
Tracing = Callable[[Batch], AbstractContextManager[GiveUp]]


def untraced(_batch: Batch) -> AbstractContextManager[GiveUp]:
    """Records nothing."""
    return nullcontext(lambda _why: None)


class BatchTraces:
    """Spans of one consumer group's batches."""

    def __init__(self, provider: "TracerProvider", topic: str, group: str) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer(SCOPE)
        self._propagator = TraceContextTextMapPropagator()
        self._name = f"process {topic}"
        self._attributes = {
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": group,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
        }

    @contextmanager
    def process(self, batch: Batch) -> Iterator[GiveUp]:
        """A CONSUMER span that records errors, and why a batch was given up."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes: dict[str, str | int] = {**self._attributes, "messaging.batch.message_count": len(batch.records)}
        if len(batch.ranges) == 1:
            attributes["messaging.destination.partition.id"] = str(*batch.ranges)
        with self._tracer.start_as_current_span(
            self._name, kind=SpanKind.CONSUMER, links=self._links(batch), attributes=attributes
        ) as span:
            yield lambda why: span.set_status(Status(StatusCode.ERROR, why))

    def _links(self, batch: Batch) -> "list[Link]":
        """One link a context: events that were published together share one."""
        from opentelemetry.trace import Link, get_current_span

        found: dict[bytes, Link | None] = {}
        links: list[Link] = []
        for record, _ in batch.records:
            for name, content in record.headers:
                if name != TRACEPARENT or not content or content in found:
                    continue
                carrier = {TRACEPARENT: content.decode("ascii", "replace")}
                context = get_current_span(self._propagator.extract(carrier)).get_span_context()
                found[content] = None
                if context.is_valid:
                    links.append(Link(context))
            if len(links) >= MAX_LINKS:
                break
        return links


@asynccontextmanager
async def open_tracing(
    topic: str, group: str, provider: "TracerProvider | None" = None, environment: Mapping[str, str] = os.environ
) -> AsyncIterator[Tracing]:
    """Traces as OpenTelemetry's variables say, or to `provider`; flushes on exit, within seconds."""
    if provider is not None:
        yield BatchTraces(provider, topic, group).process
        return
    wanted = wanted_exporter(environment)
    exporter = _exporter(wanted) if wanted else None
    if exporter is None:
        yield untraced
        return
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource({SERVICE_NAME: DEFAULT_SERVICE}).merge(OTELResourceDetector().detect())
    ours = TracerProvider(resource=Resource.create().merge(named), shutdown_on_exit=False)
    ours.add_span_processor(BatchSpanProcessor(exporter))
    log.info("tracing batches", action="tracing", exporter=wanted)
    try:
        yield BatchTraces(ours, topic, group).process
    finally:
        # a collector that does not answer must not delay the exit
        flushing = Thread(target=ours.shutdown, name="tracing", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_TIMEOUT_S)


def wanted_exporter(environment: Mapping[str, str]) -> str | None:
    """The exporter that OpenTelemetry's variables name; None if there is none."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not named:
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return "otlp" if any(environment.get(name) for name in endpoints) else None
    return None if named == "none" else named


def _exporter(wanted: str) -> "SpanExporter | None":
    if wanted != "otlp":
        log.warning("unknown exporter, tracing is off", action="tracing", wanted=wanted, known="otlp, none")
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        log.warning(
            "tracing is not installed, so it is off",
            action="tracing",
            do="pip install 'solve-counts[tracing]'",
        )
        return None
    return OTLPSpanExporter()
