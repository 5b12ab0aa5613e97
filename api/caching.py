"""Does who asks have it already? Entity tags over what an answer says (RFC 9110, 8.8.3), and no body where so."""

from hashlib import blake2b
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

# always asked again, and then mostly answered with 304: a count must never be old
ALWAYS_ASK = "no-cache"


def answer(request: Request, body: BaseModel, *, headers: dict[str, str] | None = None) -> Response:
    """JSON with a weak entity tag; 304 where it is what the client has. `as_of` alone makes no other answer."""
    text = body.model_dump_json()
    tag = tag_of(_without_as_of(text))
    found = {"ETag": tag, "Cache-Control": ALWAYS_ASK, **(headers or {})}
    if is_known(request, tag):
        return Response(status_code=304, headers=found)
    return Response(text, headers=found, media_type="application/json")


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
    known = request.headers.get("if-none-match", "")
    return any(one.strip().removeprefix("W/") == tag.removeprefix("W/") for one in known.split(","))
