"""Middleware for what differs by whose answer it is: other sites may read public ones, and those of admins are not
compressed.

The length of a compressed answer tells how much of a secret in it was guessed by a text beside it (BREACH).
"""

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

from solve_api.http.paths import is_admin, is_shared
from solve_api.http.read_rate import ReadRate


class PublicCors(CORSMiddleware):
    """Lets scripts of other sites read the public API, and nothing else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not is_shared(scope["path"]):
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS":  # answered here, before requests are counted
            await ReadRate(super().__call__)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class PublicCompression(GZipMiddleware):
    """Compresses public answers, and says so of all that may be: a 304 has the `Vary` of its 200 (RFC 9110)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. For a client that takes no gzip, the library would look at every answer for nothing."""

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_vary(message)
            await send(message)

        compresses = scope["type"] == "http" and not is_admin(scope["path"]) and _takes_gzip(scope)
        await (super().__call__ if compresses else self.app)(scope, receive, varied)


def _takes_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


def _add_vary(message: Message) -> None:
    """Adds `Vary: Accept-Encoding`, except to streams, which are never compressed, and where compression added it."""
    fields = {name.lower(): value for name, value in message.get("headers", ())}
    if fields.get(b"content-type", b"").startswith(b"text/event-stream"):
        return
    if b"vary" not in fields:
        message["headers"] = [*message.get("headers", ()), (b"vary", b"Accept-Encoding")]
    elif b"Accept-Encoding" not in fields[b"vary"]:
        MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
