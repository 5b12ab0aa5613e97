"""How does a projector answer those who watch it? /metrics, /livez and /readyz."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from solve_projector.settings import ProjectorSettings
from solve_projector.telemetry.http_server import Answer, metrics_page, serving_pages
from solve_projector.telemetry.monitor import Monitor

DO = "set SOLVE_METRICS_HOST and SOLVE_METRICS_PORT to what is free"


@asynccontextmanager
async def serving(settings: ProjectorSettings, monitor: Monitor) -> AsyncIterator[int | None]:
    """Serves while it is open; the port, or None where SOLVE_METRICS_PORT is unset. Raises MetricsUnservable."""
    if settings.metrics_port is None:
        yield None
        return
    pages = {
        "/metrics": metrics_page(monitor.metrics.registry),
        "/livez": lambda _accept: _alive(monitor),
        "/readyz": lambda _accept: _ready(monitor),
    }
    async with serving_pages(settings.metrics_host, settings.metrics_port, pages, DO) as port:
        yield port


def _alive(monitor: Monitor) -> Answer:
    why = monitor.health.why_dead()
    return _said(why is None, {"alive": why is None, "why": why or "it makes progress, or there is nothing to do"})


def _ready(monitor: Monitor) -> Answer:
    missing = monitor.health.not_ready()
    return _said(not missing, {"ready": not missing, "missing": missing})


def _said(good: bool, what: dict[str, object]) -> Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, "application/json", json.dumps(what).encode() + b"\n")
