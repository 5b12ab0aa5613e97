"""Traces from a judge's span through the log to the batch of the event, and none unless asked for."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from solve_producer.client import SolveProducer
from solve_producer.errors import RecordTooLarge
from solve_producer.tracing import sending
from solve_projector.domain.batch import Batch, decode_records
from solve_projector.domain.decoding import _typed
from solve_projector.live.process import open_projector, run_projector
from solve_projector.telemetry.tracing import MAX_LINKS, BatchTraces, open_tracing, untraced, wanted_exporter
from solve_schemas.events import SubmissionSolved
from solve_schemas.record import TRACEPARENT, decode, encode
from tests.events import registered, solved
from tests.projector.domain.test_decoding import by_the_models, record_of
from tests.world import World

EVENTS = [registered("u"), *(solved(f"{number}", "u", f"p{number}") for number in range(4))]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """What was recorded."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    """A judge's SDK and a projector's."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(spans))
    return made


@pytest.fixture
def judge(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> trace.Tracer:
    """The tracer of a judge whose SDK is set up."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return provider.get_tracer("judge")


async def project(world: World, provider: TracerProvider | None = None) -> None:
    async with open_projector(world.connection, world.settings, provider) as projector:
        await run_projector(projector, asyncio.Event(), once=True)


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name.startswith(name)]


async def test_a_batch_links_to_the_span_its_events_were_published_under(
    world: World, judge: trace.Tracer, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    topic, group = world.connection.topic, world.settings.group_id
    async with SolveProducer(world.connection) as producer:
        with judge.start_as_current_span("verdicts") as verdicts:
            await producer.publish(EVENTS[:-1])
            await producer.send(EVENTS[-1])
    batch_of_events, one_event = named(spans, f"send {topic}")
    for sent in (batch_of_events, one_event):
        assert sent.kind is SpanKind.PRODUCER
        assert sent.parent == verdicts.get_span_context()
    common = {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
    }
    assert dict(one_event.attributes or {}) == common
    assert dict(batch_of_events.attributes or {}) == common | {"messaging.batch.message_count": len(EVENTS) - 1}

    await project(world, provider)
    batches = named(spans, f"process {topic}")
    linked = {link.context.span_id for span in batches for link in span.links}
    assert linked == {span.context.span_id for span in (batch_of_events, one_event)}
    assert {link.context.trace_id for span in batches for link in span.links} == {verdicts.get_span_context().trace_id}
    assert sum((span.attributes or {})["messaging.batch.message_count"] for span in batches) == len(EVENTS)  # type: ignore[misc]
    for span in batches:
        assert span.kind is SpanKind.CONSUMER
        assert span.parent is None
        attributes = dict(span.attributes or {})
        del attributes["messaging.batch.message_count"]
        attributes.pop("messaging.destination.partition.id", None)
        assert attributes == {
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": group,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
        }
    world.published += EVENTS
    assert await world.differences() == []


async def test_what_is_not_published_under_a_recording_span_carries_no_header(
    world: World, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    await world.publish(EVENTS)  # the API is there, no SDK is set up
    await project(world, provider)
    batches = named(spans, "process")
    assert batches
    assert [span.links for span in batches if span.links] == []


async def test_a_call_that_fails_leaves_a_span_that_says_so(
    world: World, judge: trace.Tracer, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from solve_producer import client

    def too_large(*words: object) -> object:
        return replace(encode(EVENTS[1]), value=b"x" * 2_000_000)

    monkeypatch.setattr(client, "encode", too_large)
    async with SolveProducer(world.connection) as producer:
        with pytest.raises(RecordTooLarge):
            await producer.send(EVENTS[1])
    (sent,) = named(spans, "send")
    assert sent.status.status_code is StatusCode.ERROR
    assert (sent.attributes or {})["error.type"] == "RecordTooLarge"


async def test_a_batch_that_is_given_up_says_so(
    world: World, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    stopping = asyncio.Event()
    async with open_projector(world.connection, world.settings, provider) as projector, asyncio.TaskGroup() as beside:
        beside.create_task(run_projector(projector, stopping))
        await world.publish(EVENTS, 0)
        await world.until_right()
        async with world.database() as connection:
            await connection.execute("UPDATE partition_offsets SET next_offset = next_offset - 1 WHERE partition = 0")
        await world.publish([solved("more", "u", "more")], 0)
        await world.until_right()
        stopping.set()
    failed = [span for span in named(spans, "process") if span.status.status_code is StatusCode.ERROR]
    assert ["reading again" in (span.status.description or "") for span in failed] == [True]


def batch_of(traceparents: list[bytes]) -> Batch:
    records = [
        replace(record_of(solved(f"{number}", "u", "p")), headers=((TRACEPARENT, content),))
        for number, content in enumerate(traceparents)
    ]
    return Batch({0: (0, len(records))}, decode_records(records))


@pytest.mark.parametrize(
    ("traceparents", "links"),
    [
        ([TRACE.encode()] * 50, 1),
        ([f"00-{number:032x}-{number:016x}-01".encode() for number in range(1, 1_000)], MAX_LINKS),
        ([b"", b"\xff", b"00-0-0-0", b"no", f"00-{0:032x}-{0:016x}-01".encode()], 0),
        ([*(b"%d" % number for number in range(200)), TRACE.encode()], 1),
    ],
)
def test_links_are_bounded_and_each_is_made_once(
    provider: TracerProvider, spans: InMemorySpanExporter, traceparents: list[bytes], links: int
) -> None:
    with BatchTraces(provider, "t", "g").process(batch_of(traceparents)):
        pass
    (span,) = spans.get_finished_spans()
    assert len(span.links) == links
    assert span.dropped_links == 0


def test_the_header_changes_neither_the_event_nor_its_id() -> None:
    event = solved("1", "u", "p", language="cpp")
    plain, traced = encode(event), encode(event, traceparent=TRACE)
    assert [header for header in traced.headers if header not in plain.headers] == [(TRACEPARENT, TRACE.encode())]
    assert traced.headers[: len(plain.headers)] == plain.headers
    assert decode(traced.value, traced.headers, 1_795_521_600_000) == event


@pytest.mark.parametrize("first", [True, False])
def test_replay_takes_a_traced_record_by_the_short_way_too(first: bool) -> None:
    record = record_of(solved("1", "u", "p"))
    strange = ((TRACEPARENT, TRACE.encode()), ("tracestate", None), ("baggage", b"\xff"))
    headers = (*strange, *record.headers) if first else (*record.headers, *strange)
    traced = replace(record, headers=headers)
    assert _typed(traced) == by_the_models(traced)
    assert isinstance(decode(record.value, headers, record.timestamp), SubmissionSolved)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_tracing_is_on_where_opentelemetrys_own_variables_say_so(
    environment: dict[str, str], wanted: str | None
) -> None:
    assert wanted_exporter(environment) == wanted


@pytest.mark.parametrize("missing", [True, False])
async def test_tracing_that_cannot_be_had_stops_nothing(missing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = "otlp" if missing else "carrier-pigeon"
    if missing:
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    async with open_tracing("t", "g", environment={"OTEL_TRACES_EXPORTER": exporter}) as tracing:
        assert tracing is untraced


def test_a_span_that_is_not_recorded_is_no_context_to_link_to(monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: unsampled)
    with sending("t") as call:
        assert call.traceparent is None


def test_a_judge_without_opentelemetry_sends_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with sending("t") as call:
        assert call.traceparent is None
        call.sent(2)


def test_nothing_of_opentelemetry_is_loaded_where_nothing_is_traced() -> None:
    code = (
        "import asyncio, sys\nfrom solve_projector.live import process\nfrom solve_projector.telemetry import tracing\n"
        "async def main():\n    async with tracing.open_tracing('t', 'g', environment={}) as t:\n"
        "        assert t is tracing.untraced\n"
        "asyncio.run(main())\n"
        # redis-py loads the SDK's metrics where it finds them
        "ours = ('opentelemetry.sdk.trace', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """An OTLP endpoint, and what was sent to it."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


async def test_a_process_sends_its_spans_to_the_collector_before_it_ends(world: World) -> None:
    await world.publish(EVENTS)
    with collector() as (endpoint, received):
        async with world.process("run", "--once", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as process:
            _, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0, log
        resources = [resource for request in received for resource in request.resource_spans]
    names = [span.name for one in resources for scope in one.scope_spans for span in scope.spans]
    assert set(names) == {f"process {world.connection.topic}"}
    services = [a.value.string_value for one in resources for a in one.resource.attributes if a.key == "service.name"]
    assert set(services) == {"solve-projector"}


async def test_an_unavailable_collector_stops_nothing(world: World) -> None:
    await world.publish(EVENTS)
    async with world.process("run", "--once", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as process:
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0, log
    assert await world.differences() == []
