"""Entity tags over the content of answers (RFC 9110, 8.8.3): a client that has the content gets 304 without a body.

Starlette computes tags for files only.
"""

from hashlib import blake2b
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# browsers ask every time, mostly answered with 304: a count must never be stale
REVALIDATE = "no-cache"


class Rendered(NamedTuple):
    """A JSON body as sent, and its entity tag."""

    text: str
    tag: str


def render(body: BaseModel) -> Rendered:
    """JSON with a weak entity tag, which leaves `as_of` out."""
    text = body.model_dump_json()
    return Rendered(text, tag_of(_without_as_of(text)))


def answer(request: Request, body: Rendered, *, headers: dict[str, str] | None = None) -> Response:
    """The body, or 304 if the client has it."""
    all_headers = {"ETag": body.tag, "Cache-Control": REVALIDATE, **(headers or {})}
    if is_known(request, body.tag):
        return Response(status_code=304, headers=all_headers)
    return Response(body.text, headers=all_headers, media_type="application/json")


class VaryByEncoding:
    """Adds `Vary: Accept-Encoding` to everything that may be compressed: a 304 has the `Vary` of its 200 (RFC 9110)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                streamed = headers.get("content-type", "").startswith("text/event-stream")  # never compressed
                if not streamed and "Accept-Encoding" not in headers.get("vary", ""):  # compression adds it too
                    headers.add_vary_header("Accept-Encoding")
            await send(message)

        await self._app(scope, receive, varied)


def _without_as_of(text: str) -> str:
    """`as_of` is the last member, and no text looks like it, since a quote inside one is escaped."""
    before, found, _ = text.rpartition(',"as_of":')
    return before if found else text


def tag_of(text: str) -> str:
    """A weak tag, since a proxy may compress."""
    return f'W/"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this tag."""
    known = [one.strip() for line in request.headers.getlist("if-none-match") for one in line.split(",")]
    return "*" in known or tag.removeprefix("W/") in {one.removeprefix("W/") for one in known}
