"""Who may ask without a log-in? Everybody, at a rate that a person never reaches."""

from asgi_correlation_id import correlation_id
from fastapi import Request

from solve_api.http.rate_limits import Kind, RateLimits


def address_of(request: Request) -> str:
    """The client's; behind a proxy that is believed, what the proxy says."""
    return request.client.host if request.client else "unknown"


def request_id() -> str:
    """As the answer's X-Request-ID says it."""
    return correlation_id.get() or ""


async def public(request: Request) -> None:
    """A dependency of every route that anybody may ask. Raises Problem 429."""
    limits: RateLimits = request.app.state.rate_limits
    await limits.spend(Kind.READ, address_of(request))
