"""Serves stylesheet, scripts and icon from this package, cached by browsers until they change.

Starlette's static files have no version in their address, so browsers would ask for each again.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from solve_api.http.caching import REVALIDATE, is_known
from solve_runtime.http.problem import Problem

TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "idiomorph.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml; charset=utf-8",
}
IMMUTABLE = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file and a hash of its content."""

    content: bytes
    version: str


@cache
def asset(name: str) -> Asset:
    """One of the files in TYPES."""
    content = files("solve_api.pages").joinpath("static", name).read_bytes()
    return Asset(content, blake2b(content, digest_size=6).hexdigest())


def asset_path(name: str) -> str:
    """The address of a file, which changes with its content."""
    return f"/static/{name}?v={asset(name).version}"


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def static(request: Request, name: str, v: str = "") -> Response:
    """Serves a file. Raises Problem 404."""
    if name not in TYPES:
        raise Problem(404, "not-found", "File not found", "There is no such file.")
    found = asset(name)
    tag = f'W/"{found.version}"'
    headers = {"ETag": tag, "Cache-Control": IMMUTABLE if v == found.version else REVALIDATE}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=TYPES[name])
