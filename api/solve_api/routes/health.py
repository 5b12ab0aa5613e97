"""Does the process live, and can it answer? For a proxy, a container's health check and Kubernetes' probes."""

from fastapi import APIRouter, Request

from solve_api.http.problems import problems
from solve_api.models.public import Alive, Ready
from solve_api.stores import stores_of

READY_WITHIN_S = 5.0  # as long as a page waits for a connection

router = APIRouter(tags=["health"])


@router.get("/livez", responses=problems())
async def live() -> Alive:
    """The process answers."""
    return Alive()


@router.get("/readyz", responses=problems(503))
async def ready(request: Request) -> Ready:
    """PostgreSQL answers too: everything but counts from the log can be served."""
    await stores_of(request).pool.fetchval("SELECT 1", timeout=READY_WITHIN_S)
    return Ready()
