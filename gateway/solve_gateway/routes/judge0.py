"""Route `PUT /v1/callbacks/judge0/{signed}`: the result of one submission, sent by Judge0."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import SecretStr
from pydantic_core import from_json

from solve_gateway.bodies import whole
from solve_gateway.errors import BadResult, BadSignature
from solve_gateway.judge0.signing import Callback, read_signed, time_refused
from solve_gateway.judge0.verdicts import status_id_of, verdict_of
from solve_gateway.outcomes import RETRY_S, Refusal, place_members
from solve_gateway.routes.callers import CurrentGateway
from solve_runtime.http.problem import Problem, problems, sentence
from solve_schemas.record import encode

TOKEN = "judge0"  # noqa: S105 - in the metrics, where events by a token have its name

NO_VERDICT: dict[int | str, dict[str, Any]] = {202: {"description": "No verdict yet; nothing was published"}}

router = APIRouter()


@router.put(
    "/v1/callbacks/judge0/{signed}",
    summary="Judge0's callback",
    operation_id="judge0_callback",
    responses=NO_VERDICT | problems(403, 404, 413, 503),
)
async def judge0(request: Request, signed: str, gateway: CurrentGateway) -> Response:
    """Publishes the verdict of a submission; the URL is made by `solve-producer callback-url judge0`.

    Judge0 tries again only where nothing answers within its 5 seconds, and takes any status for success. So this waits
    for Kafka as long as for a delivery, and as long for its turn, whatever judges load meanwhile; and the sweep brings
    what was lost all the same.
    """
    callback = _callback(gateway.settings.gateway_callback_key, signed)
    async with gateway.callbacks.held():
        body = await whole(request.stream(), gateway.settings.gateway_body_max_bytes)
        try:
            event = verdict_of(callback, status_id_of(from_json(body)))
        except (ValueError, BadResult) as error:
            said = str(error) if isinstance(error, BadResult) else "the body is not JSON"
            raise Problem(400, "result-invalid", "This is no result of Judge0", sentence(said)) from None
    if event is None:
        return Response(json.dumps({"stored": False}), 202, media_type="application/json")
    (outcome,) = await gateway.publisher.publish([encode(event, callback.source)], TOKEN, patient=True)
    if isinstance(outcome, Refusal):
        retry = {"Retry-After": str(RETRY_S)} if outcome.status == 503 else {}
        raise Problem(
            outcome.status, outcome.reason, "The verdict was not delivered", sentence(outcome.detail), headers=retry
        )
    found = {"topic": gateway.topic} | place_members(outcome)
    return Response(json.dumps(found), media_type="application/json")


def _callback(key: SecretStr | None, signed: str) -> Callback:
    if key is None:
        raise Problem(404, "not-found", "No callbacks", "This gateway has no SOLVE_GATEWAY_CALLBACK_KEY.")
    try:
        callback = read_signed(key.get_secret_value(), signed)
    except BadSignature as error:
        raise Problem(403, "signature-wrong", "The URL is not signed", sentence(str(error))) from None
    if refused := time_refused(callback):  # answered with 200, it would be a dead letter
        raise Problem(400, "time-out-of-range", "The callback's time is none", sentence(refused))
    return callback
