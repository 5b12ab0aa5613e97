"""Route `POST /v1/events`: one event, or many, in each form of CloudEvents over HTTP and as plain JSON."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from solve_gateway.accepting import Accepting, Read, too_many
from solve_gateway.bodies import body_too_large, elements, lines, whole
from solve_gateway.gateway import Gateway
from solve_gateway.messages import EVENT_MAX_BYTES, MEDIA_TYPES, Mode, Reader, mode_of
from solve_gateway.outcomes import RETRY_S, Outcome, Refusal, place_members, status_of, summary
from solve_gateway.routes.callers import CurrentGateway, Owner
from solve_gateway.routes.documents import EVENTS_BODY, EVENTS_RESPONSES
from solve_gateway.tokens import Token
from solve_runtime.http.problem import Problem, problems

# of a body that is read line by line, and of those that are one event
HELD_AT_MOST = {Mode.LINES: 1024 * 1024, Mode.BINARY: EVENT_MAX_BYTES, Mode.STRUCTURED: EVENT_MAX_BYTES}
# what is read without letting other requests in between; an event costs as much as these bytes, however short it is
READ_AT_ONCE_BYTES, EVENT_COSTS_BYTES = 64 * 1024, 640
RETRY_SOON = {"Retry-After": str(RETRY_S)}
TITLES = {
    400: "The event is not valid",
    403: "The token may not do this",
    413: "The event is too large",
    503: "The event was not delivered",
}

router = APIRouter()


@router.post(
    "/v1/events",
    summary="Publish events",
    operation_id="publish_events",
    responses=EVENTS_RESPONSES | problems(401, 403, 408, 413, 415, 429, 503),
    openapi_extra=EVENTS_BODY,
)
async def publish(request: Request, gateway: CurrentGateway, owner: Owner) -> Response:
    """Publishes one event or many; the answer comes once the broker has them.

    200: it has all. 207: some failed, and `results` says which. Otherwise none is known to be in the log. Sending an
    event again is always safe: the same event counts once.
    """
    headers = request.headers
    mode = None if _is_encoded(headers) else mode_of(headers.get("content-type", ""), headers.raw)
    if mode is None:
        raise Problem(
            415,
            "media-type-unknown",
            "The media type is unknown",
            f"Send one of {', '.join(MEDIA_TYPES)}, in UTF-8 and not compressed.",
        )
    gateway.rate.require(owner.name)
    gateway.rate.spend(owner.name, 1)  # also of what is refused
    with gateway.in_flight.held(owner.name, _held(mode, headers, gateway)):
        most, reader = gateway.settings.gateway_body_max_bytes, Reader(owner, datetime.now(UTC))
        if mode is Mode.LINES:
            return await _many(gateway, owner, _read(lines(request.stream(), most), reader.line))
        body = await whole(request.stream(), min(most, HELD_AT_MOST.get(mode, most)))
        if mode is Mode.BATCH or (mode is Mode.PLAIN and body.lstrip().startswith(b"[")):
            read = reader.structured if mode is Mode.BATCH else reader.line
            return await _many(gateway, owner, _read(_each(await _elements(body, gateway, owner)), read))
        if mode is Mode.BINARY:
            return await _one(gateway, owner, reader.binary(body, headers.raw))
        return await _one(gateway, owner, reader.line(body) if mode is Mode.PLAIN else reader.structured(body))


def _is_encoded(headers: Headers) -> bool:
    return headers.get("content-encoding", "identity").lower() != "identity"


def _held(mode: Mode, headers: Headers, gateway: Gateway) -> int:
    """How many bytes the request will hold. Raises Problem where its body is too large."""
    length, most = headers.get("content-length", ""), gateway.settings.gateway_body_max_bytes
    size = int(length) if length.isascii() and length.isdigit() else most  # the protocol has checked it
    if size > most:
        raise body_too_large(most)
    return min(size, HELD_AT_MOST.get(mode, size))


async def _elements(body: bytes, gateway: Gateway, owner: Token) -> list[bytes]:
    """The events of an array; nothing is published of one that is no array, or has too many."""
    found: list[bytes] = []
    try:
        async for one in elements(body):
            if len(found) == gateway.settings.gateway_events_max:
                gateway.rate.spend(owner.name, len(found))
                raise too_many(gateway.settings.gateway_events_max)
            found.append(one)
    except ValueError:
        gateway.rate.spend(owner.name, len(found))
        raise Problem(
            400,
            "not-json",
            "The request is not valid",
            "The body is not a JSON array of events; nothing was published.",
        ) from None
    return found


async def _each(texts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


async def _read(texts: AsyncIterable[bytes], read: Callable[[bytes], Read]) -> AsyncIterator[Read]:
    """Each event; other requests are let in between, since a refused event waits for nobody."""
    cost = 0
    async for text in texts:
        cost += EVENT_COSTS_BYTES + len(text)
        if cost > READ_AT_ONCE_BYTES:
            await asyncio.sleep(0)
            cost = 0
        yield read(text)


async def _one(gateway: Gateway, owner: Token, event: Read) -> Response:
    accepting = Accepting(gateway.publisher, gateway.metrics, owner.name, 1)
    await accepting.take(event)
    await accepting.settle()
    (outcome,) = accepting.outcomes
    if not isinstance(outcome, Refusal):
        return _json(200, {"topic": gateway.topic} | place_members(outcome))
    raise _problem(
        outcome.status, outcome.reason, outcome.detail, **({"field": outcome.field} if outcome.field else {})
    )


async def _many(gateway: Gateway, owner: Token, events: AsyncIterator[Read]) -> Response:
    accepting = Accepting(gateway.publisher, gateway.metrics, owner.name, gateway.settings.gateway_events_max)
    try:
        await accepting.take_all(events)
    except Problem as problem:  # the body goes on; what was read of it is published
        problem.more |= summary(gateway.topic, accepting.outcomes)
        raise
    finally:
        gateway.rate.spend(owner.name, max(0, len(accepting.outcomes) - 1))
    return _answer(gateway.topic, accepting.outcomes)


def _answer(topic: str, outcomes: list[Outcome]) -> Response:
    status, found = status_of(outcomes), summary(topic, outcomes)
    if status in {200, 207}:
        again = any(isinstance(one, Refusal) and one.status == 503 for one in outcomes)
        return _json(status, found, RETRY_SOON if again else {})
    first = next(one for one in outcomes if isinstance(one, Refusal) and status in {400, one.status})
    raise _problem(status, first.reason, first.detail, **found)


def _problem(status: int, reason: str, detail: str, **more: Any) -> Problem:
    sentence = f"{detail[:1].upper()}{detail[1:]}."
    return Problem(status, reason, TITLES[status], sentence, headers=RETRY_SOON if status == 503 else {}, **more)


def _json(status: int, found: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(found, ensure_ascii=False), status, headers, "application/json")
