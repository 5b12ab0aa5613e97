"""Does who asks have it already? Entity tags over what an answer says (RFC 9110, 8.8.3), and no body where so."""

from hashlib import blake2b
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# always asked again, and then mostly answered with 304: a count must never be old
ALWAYS_ASK = "no-cache"


class Rendered(NamedTuple):
    """A body as it is sent, and its entity tag."""

    text: str
    tag: str


def render(body: BaseModel) -> Rendered:
    """JSON with a weak entity tag. `as_of` alone makes no other answer."""
    text = body.model_dump_json()
    return Rendered(text, tag_of(_without_as_of(text)))


def answer(request: Request, body: Rendered, *, headers: dict[str, str] | None = None) -> Response:
    """The body; 304 where it is what the client has."""
    found = {"ETag": body.tag, "Cache-Control": ALWAYS_ASK, **(headers or {})}
    if is_known(request, body.tag):
        return Response(status_code=304, headers=found)
    return Response(body.text, headers=found, media_type="application/json")


class VariesByEncoding:
    """On all that may be compressed: a 304 has the `Vary` that its 200 has (RFC 9110, 15.4.5), however long that is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                streamed = headers.get("content-type", "").startswith("text/event-stream")  # never compressed
                if not streamed and "Accept-Encoding" not in headers.get("vary", ""):  # compression says it itself
                    headers.add_vary_header("Accept-Encoding")
            await send(message)

        await self._app(scope, receive, varied)


def _without_as_of(text: str) -> str:
    """`as_of` is the last member; a quote inside of a string is escaped, so no string looks like it."""
    before, found, _ = text.rpartition(',"as_of":')
    return before if found else text


def tag_of(content: Any) -> str:
    """A weak tag: a proxy may compress."""
    data = content if isinstance(content, bytes) else str(content).encode()
    return f'W/"{blake2b(data, digest_size=12).hexdigest()}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this tag."""
    known = [one.strip() for line in request.headers.getlist("if-none-match") for one in line.split(",")]
    return "*" in known or tag.removeprefix("W/") in {one.removeprefix("W/") for one in known}
