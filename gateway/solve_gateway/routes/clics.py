"""Route `POST /v1/callbacks/clics`: notifications of a contest system, as CLICS 2026-01 has its webhooks send them."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Request, Response
from pydantic_core import from_json

from solve_gateway.bodies import whole
from solve_gateway.errors import BadNotification, SpoolFull
from solve_gateway.routes.callers import CurrentGateway, owner_by
from solve_gateway.tokens import Use
from solve_runtime.http.problem import RETRY_LATER, Problem, problems, sentence

router = APIRouter()

log = structlog.get_logger()


@router.post(
    "/v1/callbacks/clics",
    summary="A contest system's webhook",
    operation_id="clics_callback",
    status_code=204,
    responses=problems(401, 403, 404, 413, 503),
)
async def clics(
    request: Request,
    gateway: CurrentGateway,
    webhook_token: Annotated[str | None, Header(description="The token that the webhook was registered with.")] = None,
) -> Response:
    """Keeps the notifications for whoever follows the contest; 204 once they are on the disk.

    The contest system sends them again until then, in order.
    """
    if gateway.spool is None:
        raise Problem(404, "not-found", "No webhooks", "This gateway has no SOLVE_GATEWAY_SPOOL_FOLDER.")
    owner = owner_by(gateway, webhook_token, Use.CLICS)
    most = gateway.settings.gateway_body_max_bytes
    with gateway.in_flight.held(owner.name, most):
        body = await whole(request.stream(), most)
        try:
            await gateway.spool.add(owner.name, from_json(body))
        except (ValueError, BadNotification) as error:
            said = str(error) if isinstance(error, BadNotification) else "the body is not JSON"
            raise Problem(400, "notification-invalid", "This is no notification", sentence(said)) from None
        except SpoolFull as error:
            log.warning(str(error), action="spool_full")
            said = "The gateway keeps as many notifications as it may; its log says what to do."
            raise Problem(503, "spool-full", "Not kept", said, headers=RETRY_LATER) from None
        except OSError as error:
            log.warning("a notification could not be kept", action="spool_unwritable", error=str(error))
            raise Problem(
                503,
                "spool-unwritable",
                "Not kept",
                "The gateway cannot write it; its log says why.",
                headers=RETRY_LATER,
            ) from None
    return Response(status_code=204)
