"""Middleware for what differs by whose answer it is: other sites may read public ones, and those of admins are not
compressed.

The length of a compressed answer tells how much of a secret in it was guessed by a text beside it (BREACH).
"""

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

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
    """Compresses public answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and is_admin(scope["path"]):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
