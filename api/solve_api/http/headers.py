"""Middleware: security headers on every answer, HEAD as GET, and a limit on request bodies.

The headers follow OWASP's Secure Headers Project; pages may load and send to nothing but this site.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solve_api.http.error_handlers import problem_response
from solve_api.http.paths import is_shared
from solve_runtime.http.headers import HEADERS
from solve_runtime.http.problem import Problem

LENGTH_MAX_DIGITS = 20
BODY_FIELDS = frozenset({b"content-length", b"transfer-encoding"})  # without them there is no body (RFC 9112, 6.3)
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}


def is_tls(scope: Scope) -> bool:
    """Whether the client, or the proxy that it talks to, speaks TLS."""
    return scope.get("scheme") == "https"


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of every answer, whatever its route."""
    return HEADERS | TLS_HEADERS if is_tls(scope) else HEADERS


def _wanted(tls: bool, shared: bool) -> list[tuple[bytes, bytes]]:
    """The headers as ASGI sends them. Nothing is cached unless its route says so, answers to admins above all."""
    wanted = HEADERS | (TLS_HEADERS if tls else {}) | {"Cache-Control": "no-store"}
    if shared:
        wanted["Cross-Origin-Resource-Policy"] = "cross-origin"
    return [(name.lower().encode(), value.encode()) for name, value in wanted.items()]


WANTED = {(tls, shared): _wanted(tls, shared) for tls in (False, True) for shared in (False, True)}


class SecurityHeaders:
    """Adds the headers to every answer, unless the route set its own."""

    def __init__(self, app: ASGIApp, *, shared: bool = False) -> None:
        """`shared` if other sites may read the public API."""
        self._app = app
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = WANTED[is_tls(scope), self._shared and is_shared(scope["path"])]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = own = list(message.get("headers", ()))
                names = {name.lower() for name, _ in own}
                own += [field for field in wanted if field[0] not in names]
            await send(message)

        await self._app(scope, receive, guarded)


class HeadAsGet:
    """Answers HEAD as GET without the body (RFC 9110, 9.3.2), except on streams, which do not end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].endswith("/events"):
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)


class BodyLimit:
    """Limits request bodies by Content-Length, and by counting if that is missing."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or BODY_FIELDS.isdisjoint(name for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        digits = length.isascii() and length.isdigit() and len(length) <= LENGTH_MAX_DIGITS  # more stop int()
        if not digits or int(length) > self._max_bytes:
            await problem_response(self._problem())(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise self._problem()
            return message

        async def refused_instead(message: Message) -> None:
            # the framework replaces an error that interrupts its reading
            if seen <= self._max_bytes:
                await send(message)
            elif message["type"] == "http.response.start":
                await problem_response(self._problem())(scope, receive, send)

        await self._app(scope, counted, refused_instead)

    def _problem(self) -> Problem:
        return Problem(
            413,
            "body-too-large",
            "The request is too large",
            f"A request body may have {self._max_bytes} bytes; send less, or raise SOLVE_API_BODY_MAX_BYTES.",
        )
