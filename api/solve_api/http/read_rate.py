"""Counts every request of an address, whatever its answer will be: a page, a file, an error or a redirect."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from solve_api.errors import TooManyRequests
from solve_api.http.rate_limits import LimitKind

NOT_COUNTED = "/livez"  # a process that answers must not be killed over its rate
PROBES = "/readyz"  # counted apart, since many visitors may share the address of whoever asks for it


class ReadRate:
    """Refuses what exceeds SOLVE_API_READ_RATE before anything else is done for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"] != NOT_COUNTED:
            state = scope["app"].state
            kind = LimitKind.PROBE if scope["path"] == PROBES else LimitKind.READ
            try:
                await state.stores.limits.spend(kind, scope["client"][0] if scope["client"] else "unknown")
            except TooManyRequests as error:
                answer = await state.handle_error(Request(scope), error)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
