"""What does every answer carry, and what is refused before a route sees it? Security headers, and sizes.

The headers are those of OWASP's Secure Headers Project; nothing but our own files may be loaded or sent to.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solve_api.http.problems import Problem

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HEAD_MAX_BYTES = 32 * 1024
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}


class SecurityHeaders:
    """On every answer; a route's own header stands."""

    def __init__(self, app: ASGIApp, *, shared: bool = False) -> None:
        """`shared` where other sites may read the public API."""
        self._app = app
        self._headers = dict(HEADERS)
        if shared:
            self._headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = self._headers | TLS_HEADERS if scope.get("scheme") == "https" else self._headers

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
                # what is not said to be kept is not kept: answers to admins above all
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, guarded)


class HeadAsGet:
    """HEAD is GET without the body (RFC 9110, 9.3.2), on every path but those of streams, which do not end."""

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
    """A request's body has an end: by its Content-Length, and where that is missing, by counting."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isascii() or not said.isdigit() or int(said) > self._max_bytes:
            await self._problem().response()(scope, receive, send)
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
            # the framework makes another error of one that breaks off its reading
            if seen <= self._max_bytes:
                await send(message)
            elif message["type"] == "http.response.start":
                await self._problem().response()(scope, receive, send)

        await self._app(scope, counted, refused_instead)

    def _problem(self) -> Problem:
        return Problem(
            413,
            "body-too-large",
            "The request is too large",
            f"A body may have {self._max_bytes} bytes; send less, or raise SOLVE_API_BODY_MAX_BYTES.",
        )
