"""Metrics and probes of the relay: whether it lives and can work, each reason in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from math import nan
from time import monotonic
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from solve_runtime.metrics_server import serving_metrics
from solve_sources.outbox.settings import OutboxSettings
from solve_sources.outbox.table import Backlog

ADVICE = "set SOLVE_OUTBOX_METRICS_HOST and SOLVE_OUTBOX_METRICS_PORT to a free address"
ALIVE_S = 120.0  # several times what one step may take
NOT_YET = "not asked yet"

log = structlog.get_logger()


class Part(StrEnum):
    """The servers that the relay stands between."""

    DATABASE = "database"
    KAFKA = "kafka"


class RelayTelemetry:
    """The relay's own figures; a backlog that cannot be read is no number."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._rows = Gauge("solve_outbox_rows", "Rows that wait, up to a million.", registry=self.registry)
        self._oldest = Gauge("solve_outbox_oldest_seconds", "Age of the first row that waits.", registry=self.registry)
        self._set_aside = Gauge("solve_outbox_refused_rows", "Rows that were set aside.", registry=self.registry)
        self._up = Gauge(
            "solve_outbox_source_up", "Whether the server answered last.", ("source",), registry=self.registry
        )
        self._published = Counter("solve_outbox_published", "Rows that the broker has.", registry=self.registry)
        self._refused = Counter("solve_outbox_refused", "Rows that this relay set aside.", registry=self.registry)
        self._problems: dict[Part, str] = dict.fromkeys(Part, NOT_YET)
        self._beat_at = monotonic()
        self._show_backlog(None)

    def beat(self) -> None:
        """The relay took a step."""
        self._beat_at = monotonic()

    def works(self, part: Part) -> None:
        """The server answered."""
        if self._problems.pop(part, NOT_YET) != NOT_YET:
            log.info(f"{part} answers again", action=f"outbox_{part}_available")
        self._up.labels(part).set(1)

    def fails(self, part: Part, error: Exception) -> None:
        """The server does not answer, or refuses; logged once until it does."""
        level = "debug" if self._problems.get(part, NOT_YET) == str(error) else "warning"
        getattr(log, level)(f"{error}; rows stay in the outbox", action=f"outbox_{part}_unavailable", error=str(error))
        self._problems[part] = str(error)
        self._up.labels(part).set(0)
        if part is Part.DATABASE:
            self._show_backlog(None)

    def measured(self, backlog: Backlog) -> None:
        """The backlog was counted."""
        self._show_backlog(backlog)

    def moved(self, published: int, refused: int) -> None:
        """A batch was settled."""
        self._published.inc(published)
        self._refused.inc(refused)

    def alive(self) -> tuple[bool, dict[str, Any]]:
        """For `/livez`."""
        still = monotonic() - self._beat_at
        good = still < ALIVE_S
        return good, {"alive": good, "why": "it takes its steps" if good else f"no step for {still:.0f} s"}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """For `/readyz`; a relay that waits for another's lock is ready."""
        missing = [f"{part}: {why}" for part, why in self._problems.items()]
        return not missing, {"ready": not missing, "missing": missing}

    def _show_backlog(self, backlog: Backlog | None) -> None:
        shown = backlog or (nan, nan, nan)
        for gauge, value in zip((self._rows, self._oldest, self._set_aside), shown, strict=True):
            gauge.set(value)


@asynccontextmanager
async def serving(settings: OutboxSettings, telemetry: RelayTelemetry) -> AsyncIterator[int | None]:
    """Serves until exit; gives the port, or None where none is set. Raises MetricsUnservable."""
    if settings.outbox_metrics_port is None:
        yield None
        return
    probes = {"/livez": telemetry.alive, "/readyz": telemetry.ready}
    host, port = settings.outbox_metrics_host, settings.outbox_metrics_port
    async with serving_metrics(host, port, telemetry.registry, probes, ADVICE) as bound:
        yield bound
