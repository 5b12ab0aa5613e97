"""Entity tags over the content of answers (RFC 9110, 8.8.3): a client that has the content gets 304 without a body.

Starlette computes tags for files only.
"""

from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

# browsers ask every time, mostly answered with 304: a count must never be stale
REVALIDATE = "no-cache"


class Rendered(NamedTuple):
    """A JSON body as sent, and its entity tag."""

    body: bytes
    tag: str


def render(body: BaseModel) -> Rendered:
    """JSON with a weak entity tag, which leaves `as_of` out."""
    return _tagged(body.model_dump_json().encode())


def render_fields(fields: dict[str, Any]) -> Rendered:
    """As `render`, of a body's fields in its order: what we read ourselves needs no validation."""
    return _tagged(msgspec.json.encode(fields))


def answer(request: Request, rendered: Rendered, *, headers: dict[str, str] | None = None) -> Response:
    """The body, or 304 if the client has it."""
    all_headers = {"ETag": rendered.tag, "Cache-Control": REVALIDATE, **(headers or {})}
    if is_known(request, rendered.tag):
        return Response(status_code=304, headers=all_headers)
    return Response(rendered.body, headers=all_headers, media_type="application/json")


def _tagged(body: bytes) -> Rendered:
    return Rendered(body, tag_of(_without_as_of(body)))


def _without_as_of(body: bytes) -> bytes:
    """Times of reading are the last members, and no text looks like them, since a quote inside one is escaped."""
    for name in (b',"as_of":', b',"rank_as_of":'):
        before, found, _ = body.rpartition(name)
        body = before if found else body
    return body


def tag_of(content: bytes) -> str:
    """A weak tag, since a proxy may compress."""
    return f'W/"{blake2b(content, digest_size=12).hexdigest()}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this tag."""
    lines = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"if-none-match"]
    if not lines:
        return False
    known = [one.strip() for line in lines for one in line.split(",")]
    return "*" in known or tag.removeprefix("W/") in {one.removeprefix("W/") for one in known}
