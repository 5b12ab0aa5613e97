"""Refuses requests forged by other sites, by what browsers report (Sec-Fetch-Site, Origin) and by a token."""

from urllib.parse import urlsplit

from fastapi import Request

from solve_api.http.paths import is_tls
from solve_runtime.http.problem import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105 - its name
TOKEN_FIELD = "csrf_token"  # noqa: S105 - its name
DEFAULT_PORTS = {"http": 80, "https": 443}


def forged(detail: str) -> Problem:
    """Refuses a request that another site may have made."""
    return Problem(403, "csrf", "The request may come from another site", detail)


def refuse_other_sites(request: Request) -> None:
    """Raises Problem 403 if the browser reports that another site made the request.

    A client that sends neither header is not a current browser. A proxy must pass the Host header on unchanged.
    """
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    if site not in {"same-origin", "none"} or (origin is not None and not _is_ours(request, origin)):
        raise forged("A page of another site made this request; use the pages of this site, or a token.")


async def sent_token(request: Request) -> str:
    """The CSRF token in the header or in a form, or an empty text. A form with a file is refused with 400."""
    if header := request.headers.get(TOKEN_HEADER):
        return header
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORMS:
        return ""
    field = (await request.form(max_files=0)).get(TOKEN_FIELD)
    return field if isinstance(field, str) else ""


def _is_ours(request: Request, origin: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
        asked = urlsplit(f"//{request.headers.get('host', '').lower()}")
        default = DEFAULT_PORTS.get(parts.scheme)
        theirs, ours = (parts.hostname, parts.port or default), (asked.hostname, asked.port or default)
    except ValueError:  # no port, or half an IPv6 address
        return False
    # without TLS anybody on the way may have written the page; the reverse is a proxy that we do not trust
    if is_tls(request) and parts.scheme != "https":
        return False
    return None not in ours and theirs == ours
