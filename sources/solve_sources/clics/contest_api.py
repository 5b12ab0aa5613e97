"""A CLICS contest API over HTTP: where it is, how to log in, and what its refusals mean.

Credentials come from the environment, `.env` and `/run/secrets` alone. They are sent to the origin that the URL names
and, on a redirect, to no other. No message holds them, nor any part of a URL that was refused (I12).
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import httpx
from pydantic import Field, SecretStr, model_validator

from solve_runtime.certificates import CaFile
from solve_runtime.settings import HeaderSecret, Settings
from solve_runtime.text import cut
from solve_sources.clics.http_lines import Malformed, decompressed, objects
from solve_sources.errors import FeedError

FEED = "event-feed"
LOGIN = "CLICS_USERNAME and CLICS_PASSWORD, or CLICS_TOKEN"
EXAMPLE = "https://HOST/api/contests/ID"
OBJECT_MAX_CHARS = 1 << 20
RETRY_AFTER_MAX_S = 600.0
NAMED_CONTESTS = 10


class ContestLogin(Settings):
    """How to log in to a contest system; without any of it, what everybody may see is read."""

    clics_username: str | None = Field(None, description="User of the contest system; needs `CLICS_PASSWORD`.")
    clics_password: SecretStr | None = Field(None, description="Password of the contest system (HTTP basic).")
    clics_token: HeaderSecret = Field(None, description="Bearer token, instead of user and password.")
    clics_ca_file: CaFile = Field(None, description="CA certificates (PEM) to trust; unset, the usual public ones.")

    @model_validator(mode="after")
    def _is_one_login(self) -> Self:
        if bool(self.clics_username) != bool(self.clics_password):
            raise ValueError("CLICS_USERNAME and CLICS_PASSWORD need each other; set both, or neither")
        if self.clics_username and self.clics_token:
            raise ValueError("CLICS_USERNAME and CLICS_TOKEN are both set; unset one")
        if ":" in (self.clics_username or ""):
            raise ValueError("CLICS_USERNAME must not have a colon: HTTP ends the name there")
        return self

    def auth(self) -> httpx.Auth | None:
        """As httpx takes it."""
        if self.clics_token:
            return _Bearer(self.clics_token)
        if self.clics_username and self.clics_password:
            return httpx.BasicAuth(self.clics_username, self.clics_password.get_secret_value())
        return None


class _Bearer(httpx.Auth):
    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request


class Refused(Exception):
    """A request that was answered otherwise than hoped, or not at all; the message says by what, and what to do.

    `definite`: trying again as things are will not help. `status` is 0 where there was no answer; `line` is the one
    that is none of a feed.
    """

    def __init__(
        self, message: str, status: int = 0, retry_after_s: float = 0.0, line: bytes = b"", *, definite: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.line = line
        self.definite = definite


class Place(NamedTuple):
    """An API's base, and the contest's id as it stands in its URL; None where the base has to be asked."""

    base: str
    contest: str | None

    @property
    def url(self) -> str:
        """The URL of the contest, or of the base."""
        return f"{self.base}/contests/{self.contest}" if self.contest else self.base


def place_of(url: str) -> Place:
    """Reads the URL of a contest, of its event feed, or of an API. Raises FeedError, which quotes nothing of it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        login = "@" in parts.netloc
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        host, parts, login = None, urlsplit(""), "@" in url
    if login:
        raise FeedError(f"the contest's URL holds a user or password; leave them out, and set {LOGIN}")
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise FeedError(f"the contest's URL is none of http or https; write {EXAMPLE}")
    if parts.query or parts.fragment:
        raise FeedError(f"the contest's URL has a part after ? or #; leave it out: {EXAMPLE}")
    segments = parts.path.rstrip("/").removesuffix(f"/{FEED}").rstrip("/").split("/")
    contest = None
    if segments[-2:-1] == ["contests"]:
        contest, segments = segments[-1], segments[:-2]
    elif segments[-1] == "contests":
        segments = segments[:-1]
    return Place(f"{parts.scheme}://{parts.netloc}{'/'.join(segments)}", contest)


def client_of(login: ContestLogin, connect_s: float, silent_s: float) -> httpx.AsyncClient:
    """A client that gives up a connection on which nothing comes for `silent_s`."""
    return httpx.AsyncClient(
        auth=login.auth(),
        headers={"Accept-Encoding": "gzip", "User-Agent": "solve-counts"},
        timeout=httpx.Timeout(silent_s, connect=connect_s),
        follow_redirects=True,
        max_redirects=5,
        verify=ssl.create_default_context(cafile=login.clics_ca_file) if login.clics_ca_file else True,
    )


@asynccontextmanager
async def answer_to(client: httpx.AsyncClient, url: str, **parameters: str) -> AsyncIterator[httpx.Response]:
    """The 200 to a GET, its body still to be read. Raises Refused, also while the body is read."""
    with _refusals(url):
        async with client.stream("GET", url, params=parameters) as response:
            if response.status_code != httpx.codes.OK:
                raise _refusal(url, response, has_login=client.auth is not None)
            if "html" in response.headers.get("content-type", ""):
                raise Refused(f"{url} is a page for people, not a contest API; write {EXAMPLE}", definite=True)
            yield response


async def ids(client: httpx.AsyncClient, url: str) -> AsyncGenerator[str, None]:
    """The ids in a collection. Raises Refused."""
    async with answer_to(client, url) as response:
        async for one in objects(decompressed(response), OBJECT_MAX_CHARS):
            yield str(one.get("id"))


async def only_contest(client: httpx.AsyncClient, base: str) -> Place:
    """The one contest of an API. Raises Refused where there is none, or several."""
    found: list[str] = []
    try:
        async with aclosing(ids(client, f"{base}/contests")) as listed:
            async for one in listed:
                found.append(one)
                if len(found) > NAMED_CONTESTS:
                    break
    except Refused as refused:
        if refused.status == httpx.codes.NOT_FOUND:
            raise Refused(f"{base} is neither a contest nor a contest API; write {EXAMPLE}", definite=True) from None
        raise
    if not found:
        raise Refused(f"{base} has no contest that may be seen; write {EXAMPLE}, or set {LOGIN}", definite=True)
    if len(found) > 1:
        named = ", ".join(found[:NAMED_CONTESTS])
        raise Refused(f"{base} has several contests; write one of them as {base}/contests/ID: {named}", definite=True)
    return Place(base, quote(found[0], safe=""))


@contextmanager
def _refusals(url: str) -> Iterator[None]:
    """Puts what goes wrong at a connection in our words."""
    try:
        yield
    except Malformed as error:
        raise Refused(f"{url}: {error}") from None
    except httpx.ReadTimeout:
        raise Refused(f"{url}: nothing came for too long, so the connection is dead") from None
    except httpx.TimeoutException:
        raise Refused(f"{url}: no connection in time") from None
    except (httpx.TooManyRedirects, httpx.UnsupportedProtocol):
        raise Refused(f"{url} redirects to where no contest can be; check the URL", definite=True) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if _is_about_certificates(error):
            wrong = "its certificate cannot be verified; name its authority's certificate (PEM) in CLICS_CA_FILE"
            raise Refused(f"{url}: {wrong}", definite=True) from None
        raise Refused(f"{url}: {cut(str(error), 200) or type(error).__name__}") from None


def _is_about_certificates(error: BaseException) -> bool:
    causes: list[Any] = [error]
    while causes[-1] is not None and len(causes) < 10:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in causes)


def _refusal(url: str, response: httpx.Response, *, has_login: bool) -> Refused:
    status = response.status_code
    said = f"{url} answers HTTP {status}"
    if status == httpx.codes.UNAUTHORIZED:
        do = f"correct {LOGIN}" if has_login else f"it wants a login: set {LOGIN}"
    elif status == httpx.codes.FORBIDDEN:
        do = f"this login may not read it; set {LOGIN} of one that may" if has_login else f"set {LOGIN}"
    elif status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        do = f"there is no such contest, or this login may not see it; check the URL ({EXAMPLE}) and {LOGIN}"
    elif status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Refused(f"{said}; the server is to be asked later", status, _retry_after_s(response))
    else:
        do = f"that is no contest API; check the URL ({EXAMPLE})"
    return Refused(f"{said}; {do}", status, definite=True)


def _retry_after_s(response: httpx.Response) -> float:
    """What the server asks for, in seconds or as a date; 0 where it says nothing usable."""
    said = response.headers.get("retry-after", "")
    try:
        wait_s = float(said) if said.isdigit() else (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S)
