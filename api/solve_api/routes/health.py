"""Liveness and readiness, for proxies, container health checks and Kubernetes."""

from typing import Literal

from fastapi import APIRouter

from solve_api.bodies import Body
from solve_api.routes.callers import OpenStores
from solve_runtime.http.problem import problems

router = APIRouter(tags=["health"])


class Alive(Body):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Body):
    """The process can serve requests."""

    status: Literal["ready"] = "ready"


@router.get("/livez", responses=problems())
async def live() -> Alive:
    """Check that the process answers."""
    return Alive()


@router.get("/readyz", responses=problems(429, 503))
async def ready(stores: OpenStores) -> Ready:
    """Check that PostgreSQL answers too, so that everything except replays can be served."""
    await stores.readiness.check()
    return Ready()
