"""Metrics of the gateway, beside those of the producer's client in the same registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ACCEPTED = "accepted"
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class GatewayMetrics:
    """The counters of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "solve_gateway_events",
            "Events by token and result: accepted once the broker has it, else why not.",
            ("token", "result"),
            registry=self.registry,
        )
        self._requests = Histogram(
            "solve_gateway_request_seconds",
            "From the head of a request to its answer.",
            ("route", "status"),
            buckets=REQUEST_BUCKETS_S,
            registry=self.registry,
        )
        self._refused = Counter(
            "solve_gateway_refused_requests", "Requests refused as a whole, by reason.", ("reason",),
            registry=self.registry,
        )  # fmt: skip
        self._held = Gauge("solve_gateway_in_flight_bytes", "Bytes of requests that are held.", registry=self.registry)
        self._answering = Gauge(
            "solve_gateway_in_flight_requests", "Requests that are being answered.", registry=self.registry
        )

    def count_events(self, token: str, result: str, number: int = 1) -> None:
        """Events that were accepted or refused."""
        self._events.labels(token, result).inc(number)

    def refuse(self, reason: str) -> None:
        """A request that was refused as a whole."""
        self._refused.labels(reason).inc()

    def hold(self, size: int) -> None:
        """How many bytes are held now."""
        self._held.set(size)

    def begin(self) -> None:
        """A request has arrived."""
        self._answering.inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request has its answer, or lost its client (status 0)."""
        self._answering.dec()
        self._requests.labels(route, str(status)).observe(seconds)
