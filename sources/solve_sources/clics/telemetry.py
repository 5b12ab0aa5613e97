"""Metrics and probes of a follower: whether it lives and follows, each reason in words."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from math import nan
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from solve_runtime.metrics_server import serving_metrics
from solve_runtime.tasks import cancel_and_wait
from solve_sources.clics.http_feed import HttpFeed
from solve_sources.clics.settings import FollowSettings

ADVICE = "set SOLVE_FOLLOW_METRICS_HOST and SOLVE_FOLLOW_METRICS_PORT to a free address"
BEAT_S = 1.0
ALIVE_S = 120.0  # far more than a page of the largest contest takes
FEED_ERRORS = ("lost", "closed", "token_unknown")
SERVERS = ("postgresql", "kafka")


class FollowTelemetry(Collector):
    """A follower's figures. Read by another thread, one value at a time."""

    def __init__(self, feed: HttpFeed) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.complete = False
        self._reconciles = 0
        self._feed = feed
        self._errors: Counter[str] = Counter()
        self._unavailable = ""
        self._beat_at = monotonic()

    def collect(self) -> Iterable[Metric]:
        """For `/metrics`; what was published is counted by the producer itself."""
        counts = self._feed.counts
        said_at = self._feed.said_at
        age_s = nan if said_at is None else monotonic() - said_at
        yield GaugeMetricFamily(
            "solve_follow_connected", "Whether the feed is connected.", float(not self._feed.problem)
        )
        yield GaugeMetricFamily(
            "solve_follow_complete", "Whether the feed has said everything once.", float(self.complete)
        )
        yield GaugeMetricFamily(
            "solve_follow_notification_age_seconds", "Since the last notification; none, no number.", age_s
        )
        yield CounterMetricFamily("solve_follow_notifications", "Notifications that were read.", counts["lines"])
        yield CounterMetricFamily("solve_follow_reconciles", "Comparisons of everything.", self._reconciles)
        connections = CounterMetricFamily("solve_follow_connections", "Connections to the feed.", labels=["begin"])
        connections.add_metric(["beginning"], counts["whole"])
        connections.add_metric(["token"], counts["resumed"])
        yield connections
        errors = CounterMetricFamily("solve_follow_errors", "What failed and was tried again.", labels=["reason"])
        for reason in FEED_ERRORS:
            errors.add_metric([f"feed_{reason}"], counts[reason])
        for server in SERVERS:
            errors.add_metric([server], self._errors[server])
        yield errors

    def compared(self) -> None:
        """Everything was compared, so PostgreSQL and Kafka answer."""
        self._reconciles += 1
        self._unavailable = ""

    def fails(self, server: str, error: BaseException) -> None:
        """PostgreSQL or Kafka does not."""
        self._errors[server] += 1
        self._unavailable = f"{server}: {error}"

    async def beat(self) -> None:
        """Shows for ever that the event loop is not stuck."""
        while True:
            self._beat_at = monotonic()
            await asyncio.sleep(BEAT_S)

    def alive(self) -> tuple[bool, dict[str, Any]]:
        """For `/livez`."""
        still_s = monotonic() - self._beat_at
        good = still_s < ALIVE_S
        return good, {"alive": good, "why": "it goes on" if good else f"stuck for {still_s:.0f} s"}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """For `/readyz`; a follower that waits for another to end is ready."""
        missing = [f"feed: {self._feed.problem}"] if self._feed.problem else []
        if not self.complete:
            missing.append("complete: the feed has not said everything yet")
        if self._unavailable:
            missing.append(self._unavailable)
        return not missing, {"ready": not missing, "missing": missing}


@asynccontextmanager
async def serving(settings: FollowSettings, telemetry: FollowTelemetry) -> AsyncIterator[int | None]:
    """Serves until exit; gives the port, or None where none is set. Raises MetricsUnservable."""
    if settings.follow_metrics_port is None:
        yield None
        return
    probes = {"/livez": telemetry.alive, "/readyz": telemetry.ready}
    host, port = settings.follow_metrics_host, settings.follow_metrics_port
    beating = asyncio.create_task(telemetry.beat())
    try:
        async with serving_metrics(host, port, telemetry.registry, probes, ADVICE) as bound:
            yield bound
    finally:
        await cancel_and_wait([beating])
