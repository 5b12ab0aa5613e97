"""The client's counters, under OpenTelemetry's names, in the registry of the judge that embeds it."""

from threading import Lock
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram

from solve_producer.deliveries import Deliveries
from solve_schemas.events import EVENT_MODELS
from solve_schemas.record import EncodedRecord

DELIVERED = ""
SEND = "send"
SYSTEM = "kafka"
UNKNOWN_TYPE = "unknown"
# what OpenTelemetry's messaging conventions ask of a duration
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class ProducerMetrics:
    """The counters of all producers that share a registry. Updated once a call, never once an event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sent = Counter(
            "messaging_client_sent_messages", "Events handed to Kafka; error_type is empty if it has them.",
            ("messaging_system", "messaging_destination_name", "error_type"), registry=registry,
        )  # fmt: skip
        self._duration = Histogram(
            "messaging_client_operation_duration_seconds", "Of a call, from its first event to its last confirmation.",
            ("messaging_system", "messaging_destination_name", "messaging_operation_name"),
            buckets=DURATION_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._events = Counter(
            "solve_producer_events", "Events that the broker has confirmed, by type.", ("type",), registry=registry
        )
        for name in EVENT_MODELS:
            self._events.labels(name)

    def published(self, topic: str, deliveries: Deliveries, seconds: float, error_type: str) -> None:
        """Counts a call that has ended; `error_type` is empty if it succeeded."""
        self._duration.labels(SYSTEM, topic, SEND).observe(seconds)
        self._sent.labels(SYSTEM, topic, DELIVERED).inc(deliveries.sent)
        if error_type and deliveries.uncertain:
            self._sent.labels(SYSTEM, topic, error_type).inc(deliveries.uncertain)
        for name, number in deliveries.confirmed.items():
            self._events.labels(name if name in EVENT_MODELS else UNKNOWN_TYPE).inc(number)


_made: WeakKeyDictionary[CollectorRegistry, ProducerMetrics] = WeakKeyDictionary()
_making = Lock()


def metrics_in(registry: CollectorRegistry | None) -> ProducerMetrics | None:
    """The one set of counters of a registry, since a name can be registered once; None without a registry."""
    if registry is None:
        return None
    with _making:
        if registry not in _made:
            _made[registry] = ProducerMetrics(registry)
        return _made[registry]


def type_of(record: EncodedRecord) -> str:
    """What the record says it is."""
    return next((content.decode("utf-8", "replace") for name, content in record.headers if name == "ce_type"), "")
