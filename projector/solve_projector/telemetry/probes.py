"""A projector's own address: /metrics, /livez and /readyz, each reason in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from solve_projector.settings import ProjectorSettings
from solve_projector.telemetry.monitor import Monitor
from solve_runtime.metrics_server import serving_metrics

ADVICE = "set SOLVE_METRICS_HOST and SOLVE_METRICS_PORT to a free address"


@asynccontextmanager
async def serving_probes(settings: ProjectorSettings, monitor: Monitor) -> AsyncIterator[int | None]:
    """Serves until exit; gives the port, or None where SOLVE_METRICS_PORT is unset. Raises MetricsUnservable."""
    if settings.metrics_port is None:
        yield None
        return
    probes = {"/livez": partial(_alive, monitor), "/readyz": partial(_ready, monitor)}
    registry = monitor.metrics.registry
    async with serving_metrics(settings.metrics_host, settings.metrics_port, registry, probes, ADVICE) as port:
        yield port


def _alive(monitor: Monitor) -> tuple[bool, dict[str, Any]]:
    why = monitor.health.why_dead()
    return why is None, {"alive": why is None, "why": why or "it makes progress, or there is nothing to do"}


def _ready(monitor: Monitor) -> tuple[bool, dict[str, Any]]:
    missing = monitor.health.not_ready()
    return not missing, {"ready": not missing, "missing": missing}
