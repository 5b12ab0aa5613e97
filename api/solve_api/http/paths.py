"""Paths of requests, decoded once as the router matches them.

`request.url` is not used: it joins host, path and query to one text and parses it again, so that `a?b` and `a%3Fb` have
one path there, and a strange `Host` is an error.
"""

from fastapi import Request

SHARED_PATHS = ("/api/users", "/api/user", "/api/leaderboard", "/api/events", "/api/openapi.json")
ADMIN_PATHS = ("/admin", "/api/admin")


def is_shared(path: str) -> bool:
    """Whether scripts of other sites may read it, where SOLVE_API_CORS_ORIGINS names them."""
    return _is_below(path, SHARED_PATHS)


def is_admin(path: str) -> bool:
    """Whether its answers are for admins."""
    return _is_below(path, ADMIN_PATHS)


def _is_below(path: str, parents: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in parents)


def path_of(request: Request) -> str:
    """The path that the router matched."""
    path: str = request.scope["path"]
    return path


def is_tls(request: Request) -> bool:
    """Whether the request came over TLS, to us or to a trusted proxy."""
    return bool(request.scope["scheme"] == "https")


def asked_address(request: Request) -> str:
    """Path and query as they were sent, for a link back."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
