"""Where do stylesheet, script and icon come from? From this package, kept by browsers until they change."""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from solve_api.http.caching import ALWAYS_ASK, is_known
from solve_api.http.problems import Problem

TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml; charset=utf-8",
}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and what changes when it does."""

    content: bytes
    version: str


@cache
def asset(name: str) -> Asset:
    """One of TYPES."""
    content = files("solve_api.pages").joinpath("static", name).read_bytes()
    return Asset(content, blake2b(content, digest_size=6).hexdigest())


def asset_path(name: str) -> str:
    """For a page; another one after every change."""
    return f"/static/{name}?v={asset(name).version}"


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def static(request: Request, name: str, v: str = "") -> Response:
    """One of the files. Raises Problem 404."""
    if name not in TYPES:
        raise Problem(404, "not-found", "There is nothing here", "There is no such file.")
    found = asset(name)
    tag = f'W/"{found.version}"'
    headers = {"ETag": tag, "Cache-Control": FOR_EVER if v == found.version else ALWAYS_ASK}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=TYPES[name])
