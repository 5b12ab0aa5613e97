"""The judge's span under which an event is published travels with it, as W3C's `traceparent`.

OpenTelemetry's messaging conventions: one "send" span a call, whose context is every event's creation context. (A
"create" span for each event is allowed instead, and would cost a judge a span an event.) Without OpenTelemetry, or if
its SDK records nothing, no span is made and no header is sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from solve_schemas.record import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.trace import Span

SCOPE = "solve-counts"


class Sending(NamedTuple):
    """A call under way: the header that its events carry, if any."""

    traceparent: str | None = None
    span: "Span | None" = None

    def sent(self, events: int) -> None:
        """How many it was; one alone is no batch."""
        if self.span is not None and events != 1:
            self.span.set_attribute("messaging.batch.message_count", events)


@contextmanager
def sending(topic: str) -> Iterator[Sending]:
    """A PRODUCER span under the judge's current one; an error that leaves it is recorded."""
    try:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        yield Sending()
        return
    attributes = {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
    }
    with trace.get_tracer(SCOPE).start_as_current_span(
        f"send {topic}", kind=trace.SpanKind.PRODUCER, attributes=attributes
    ) as span:
        if not span.is_recording():
            yield Sending()
            return
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        try:
            yield Sending(carrier.get(TRACEPARENT), span)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            raise
