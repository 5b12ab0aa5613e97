"""Routes of the probes."""

import json

from fastapi import APIRouter, Response

from solve_gateway.routes.callers import CurrentGateway

router = APIRouter()


@router.get("/livez", summary="Whether the process answers", operation_id="livez")
async def livez() -> dict[str, bool]:
    """For the restart of a process that hangs; says nothing about Kafka."""
    return {"alive": True}


@router.get(
    "/readyz",
    summary="Whether events can be published",
    operation_id="readyz",
    responses={503: {"description": "Not now; `missing` says why"}},
)
async def readyz(gateway: CurrentGateway) -> Response:
    """For load balancers: the brokers have the topic, the tokens can be read, and notifications kept."""
    missing = await gateway.missing()
    said = json.dumps({"ready": not missing, "missing": missing})
    return Response(said, 503 if missing else 200, media_type="application/json")
