"""Paths of requests, decoded once as the router matches them.

`request.url` is not used: it joins host, path and query to one text and parses it again, so that `a?b` and `a%3Fb` have
one path there, and a strange `Host` is an error.
"""

from fastapi import Request


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
