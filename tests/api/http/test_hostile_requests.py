"""Requests that no honest client sends, as raw bytes: each is refused as a problem, and the server stays well."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
import pytest
import pytest_asyncio
from asgi_correlation_id import CorrelationIdMiddleware

from solve_api.http.headers import BodyLimit, HeadAsGet, SecurityHeaders
from solve_runtime.http import connections
from solve_runtime.http.headers import HEAD_MAX_BYTES, HEADERS, HEADERS_MAX
from solve_runtime.http.protocol import PIPELINE_MAX
from tests.api.served import Served, serving
from tests.conftest import copy_of, url_of, world_of

FORM = "application/x-www-form-urlencoded"
DEEP, HUGE = b"[" * 30_000, b"9" * 5_000


class Answer(NamedTuple):
    """One answer of a connection."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of a header."""
        values = [value for known, value in self.headers if known == name.lower()]
        assert len(values) <= 1, (name, values)
        return values[0] if values else None


def head(target: bytes, *lines: bytes, method: bytes = b"GET", host: bytes = b"Host: x") -> bytes:
    """A request's head."""
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", host, *lines, b"", b""])


def post(body: bytes, path: bytes = b"/api/admin/login", kind: str = "application/json", *lines: bytes) -> bytes:
    """A request with a body."""
    about = (b"Content-Type: " + kind.encode(), b"Content-Length: " + str(len(body)).encode())
    return head(path, *about, *lines, method=b"POST") + body


def chunked(body: bytes) -> bytes:
    """A request whose body is framed by hand."""
    return head(b"/api/admin/login", b"Transfer-Encoding: chunked", method=b"POST") + body


def sized(*lengths: bytes) -> bytes:
    """A request that declares these lengths."""
    return head(b"/api/admin/login", *(b"Content-Length: " + one for one in lengths), method=b"POST") + b"{}"


GOOD = head(b"/livez")
REFUSED = {
    "a length of 5,000 digits": (sized(b"0" * 4_999 + b"2"), 413),
    "a length of 5,000 nines": (sized(HUGE), 400),
    "a length that overflows": (sized(b"18446744073709551617"), 400),
    "a negative length": (sized(b"-1"), 400),
    "a length in words": (sized(b"two"), 400),
    "a length with a sign": (sized(b"+2"), 400),
    "two lengths": (sized(b"2", b"3"), 400),
    "a length and chunks": (sized(b"2").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
    "an unknown coding": (head(b"/livez", b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    "chunked twice": (head(b"/livez", b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", 400),
    "a chunk without a size": (chunked(b"\r\n{}\r\n"), 400),
    "a chunk size in words": (chunked(b"zz\r\n{}\r\n"), 400),
    "a chunk size that overflows": (chunked(b"f" * 17 + b"\r\n"), 400),
    "a negative chunk": (chunked(b"-2\r\n{}\r\n"), 400),
    "a chunk longer than said": (chunked(b"1\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk extension without end": (chunked(b"1;" + b"a" * 60_000), 431),
    "trailers without end": (chunked(b"0\r\n" + b"a: b\r\n" * 10_000), 431),
    "a head of 60,000 bytes in one read": (head(b"/livez", b"A: " + b"a" * 60_000), 431),
    "a head just too large": (head(b"/livez", b"A: " + b"a" * HEAD_MAX_BYTES), 431),
    "an address too large": (head(b"/livez?" + b"a" * HEAD_MAX_BYTES), 431),
    "10,000 headers": (head(b"/livez", *[b"a: b"] * 10_000), 431),
    "one header too many": (head(b"/livez", *[b"a: b"] * HEADERS_MAX), 431),
    "one trailer too many": (chunked(b"0\r\n" + b"a: b\r\n" * (HEADERS_MAX - 1) + b"\r\n"), 431),
    "an address without end": (b"GET /" + b"a" * 100_000, 431),
    "a name with a space": (head(b"/livez", b"A b: c"), 400),
    "a name with NUL": (head(b"/livez", b"A\0b: c"), 400),
    "a name that is no ASCII": (head(b"/livez", "ä: b".encode()), 400),
    "a line without a colon": (head(b"/livez", b"nothing"), 400),
    "a folded header": (head(b"/livez", b"A: b\r\n c: d"), 400),
    "a header with a lone CR": (head(b"/livez", b"A: b\rC: d"), 400),
    "a header with NUL": (head(b"/livez", b"A: b\0c"), 400),
    "lines that end in LF": (GOOD.replace(b"\r\n", b"\n"), 400),
    "a path that is no ASCII": (head("/ä".encode()), 400),
    "a path with NUL": (head(b"/a\0b"), 400),
    "a path that is quoted NUL": (head(b"/api/users/%00"), 422),
    "a path that is no UTF-8": (head(b"/api/users/%ff%fe"), 404),
    "a surrogate": (head(b"/api/users/%ed%a0%80"), 404),
    "a query that is quoted NUL": (head(b"/api/users?username=%00"), 422),
    "a query that is no UTF-8": (head(b"/api/leaderboard?period=%ff"), 422),
    "10,000 parameters": (head(b"/api/events?" + b"&".join([b"a"] * 10_000)), 422),
    "10,000 users": (head(b"/api/events?" + b"&".join([b"user_id"] * 3_000)), 422),
    "a number of 5,000 digits": (head(b"/api/leaderboard?limit=" + HUGE), 422),
    "no path": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a relative path": (head(b"livez"), 400),
    "an authority": (head(b"x:443"), 400),
    "CONNECT": (head(b"x:443", method=b"CONNECT") + GOOD, 400),
    "CONNECT to a path": (head(b"/livez", method=b"CONNECT") + GOOD, 405),
    "OPTIONS of all": (head(b"*", method=b"OPTIONS"), 404),
    "TRACE": (head(b"/livez", method=b"TRACE"), 405),
    "PROPFIND": (head(b"/livez", method=b"PROPFIND"), 405),
    "an unknown method": (head(b"/livez", method=b"ABCDEF"), 400),
    "a method in lower case": (head(b"/livez", method=b"get"), 400),
    "no version": (b"GET /livez\r\n\r\n", 400),
    "HTTP/0.9": (GOOD.replace(b"1.1", b"0.9"), 400),
    "HTTP/2.0": (GOOD.replace(b"1.1", b"2.0"), 400),
    "HTTP/1.9": (GOOD.replace(b"1.1", b"1.9"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (bytes.fromhex("16030100f1010000ed0303") + bytes(100), 400),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400),
    "two hosts": (head(b"/livez", b"Host: y"), 400),
    "the same host twice": (head(b"/livez", b"Host: x"), 400),
    "an unread body that was announced": (post(b"{}", b"/livez", "application/json", b"Expect: 100-continue"), 405),
    "a body that is too large": (post(b"a" * 70_000), 413),
    "JSON that is deep": (post(DEEP), 400),
    "JSON objects that are deep": (post(b'{"a":' * 10_000), 400),
    "a JSON number of 5,000 digits": (post(b'{"name": ' + HUGE + b', "password": "a"}'), 400),
    "JSON with NaN": (post(b'{"name": NaN, "password": -Infinity}'), 422),
    "JSON with a name twice": (post(b'{"name": "a", "name": 1, "password": "b"}'), 422),
    "JSON that is no UTF-8": (post(b'{"name": "\xff", "password": "b"}'), 400),
    "JSON with a lone surrogate": (post(b'{"name": "\\ud800", "password": "b"}'), 422),
    "JSON with NUL": (post(b'{"name": "\\u0000", "password": "b"}'), 401),
    "JSON in UTF-16": (post('{"name": "a", "password": "b"}'.encode("utf-16")), 401),
    "a body that is compressed": (post(b"\x1f\x8b\x08", b"/api/admin/login", "application/json"), 400),
    "a form of 10,000 fields": (post(b"&".join([b"a=b"] * 10_000), b"/admin/login", FORM), 400),
    "a form of parts without end": (post(b"--a\r\n" * 10_000, b"/admin/login", "multipart/form-data; boundary=a"), 400),
    "a form without a boundary": (post(b"a", b"/admin/login", "multipart/form-data"), 400),
    "a type that splits the answer": (head(b"/api/nothing", b"X-Request-ID: a\tb\x80", b"Accept: \xff"), 404),
    "cookies that are odd": (head(b"/api/admin/session", b"Cookie: \xff=\x80; =;;;" + b"a=b;" * 3_000), 401),
    "an authorization that is odd": (head(b"/api/admin/session", b"Authorization: Bearer \xff\xfe"), 401),
    "a tag that is odd": (head(b"/api/nothing", b'If-None-Match: "\xff' + b"," * 10_000), 404),
    "a last id that is odd": (head(b"/api/events", b"Last-Event-ID: " + HUGE), 422),
}
TAKEN = {
    "an absolute address": head(b"http://y/livez"),
    "HTTP/1.0": b"GET /livez HTTP/1.0\r\n\r\n",
    "websocket": head(b"/livez", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: a"),
    "HTTP/2 as an offer": head(b"/livez", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c") + b"PRI * HTTP/2.0",
    "as many headers as may be": head(b"/livez", *[b"a: b"] * (HEADERS_MAX - 1)),
    "empty lines before": b"\r\n\r\n" + GOOD,
    "an expectation without a body": head(b"/livez", b"Expect: 100-continue"),
}


@pytest_asyncio.fixture(scope="module")
async def api(servers: Mapping[str, str], template: str) -> AsyncIterator[Served]:
    """One server for all of this module, which has to survive it."""
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    name = await copy_of(template, admin)
    url = url_of(servers["DATABASE_URL"], name)
    world = world_of(servers["KAFKA_BOOTSTRAP_SERVERS"], url, servers["REDIS_URL"])
    rates = {"api_login_rate": "10000/minute", "api_read_rate": "10000/minute"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "LINES_MAX", 1_000)
        async with serving(world, api_body_timeout_s=1, **rates) as found:
            yield found
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@asynccontextmanager
async def connected(api: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of one's own."""
    host, port = api.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_of(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Answer:
    """The next answer that is final."""
    while True:
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z -]+", status), status
        headers = [(name.lower(), value) for name, _, value in (field.partition(": ") for field in fields)]
        number = int(status.split()[1])
        if number >= 200:
            length = 0 if bodiless else int(dict(headers)["content-length"])
            return Answer(number, headers, await reader.readexactly(length))


def see_problem(found: Answer, *, bodiless: bool = False) -> None:
    """It is a problem with everything that each answer has."""
    is_page = found.header("content-type") == "text/html; charset=utf-8"  # an error page, where pages are
    assert is_page or found.header("content-type") == "application/problem+json"
    if not bodiless and not is_page:
        assert json.loads(found.body)["status"] == found.status
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", found.header("x-request-id") or "")
    assert found.header("cache-control") == "no-store"
    for name, value in HEADERS.items():
        assert found.header(name) == value


async def see_usable_or_closed(found: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Nothing follows the answer but the answer to the next request."""
    if found.header("connection") != "close":
        writer.write(head(b"/livez", b"Connection: close"))
        assert (await answer_of(reader)).status == 200
    assert await reader.read() == b""


def see_no_failure(said: str) -> None:
    """No layer failed."""
    assert not re.search(r"Traceback|Exception|request_failed", said), said


@pytest.mark.parametrize("name", REFUSED)
async def test_a_hostile_request_is_refused_as_a_problem(
    api: Served, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sent, status = REFUSED[name]
    async with connected(api) as (reader, writer):
        writer.write(sent)
        found = await answer_of(reader)
        assert found.status == status, found.body
        see_problem(found)
        await see_usable_or_closed(found, reader, writer)
    said = capfd.readouterr()
    see_no_failure(said.out + said.err)
    if found.header("connection") == "close" and found.status != 405:  # it was refused before any route
        assert f"request_id={found.header('x-request-id')}" in said.out


@pytest.mark.parametrize("name", TAKEN)
async def test_an_odd_request_is_answered(api: Served, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    async with connected(api) as (reader, writer):
        writer.write(TAKEN[name])
        found = await answer_of(reader)
        assert found.status == 200, found.body
        await see_usable_or_closed(found, reader, writer)
    said = capfd.readouterr()
    see_no_failure(said.out + said.err)


@pytest.mark.parametrize("path", ["/", "/livez", "/api/events", "/api/nothing", "/api/admin/login", "/admin", "/a/"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PATCH", "M-SEARCH"])
async def test_every_method_of_every_kind_of_path_has_an_answer(api: Served, method: str, path: str) -> None:
    async with connected(api) as (reader, writer):
        writer.write(head(path.encode(), method=method.encode()))
        found = await answer_of(reader, bodiless=method == "HEAD")
        assert found.status < 500
        if found.status >= 400:
            see_problem(found, bodiless=method == "HEAD")
        await see_usable_or_closed(found, reader, writer)


async def test_answers_keep_their_order_whatever_follows(api: Served) -> None:
    async with connected(api) as (reader, writer):
        writer.write(GOOD + head(b"/api/nothing") + GOOD + b"nothing\r\n\r\n" + GOOD)
        found = [await answer_of(reader) for _ in range(4)]
        assert [one.status for one in found] == [200, 404, 200, 400]
        assert await reader.read() == b""


async def test_a_request_whose_body_fails_in_the_queue_is_refused_in_its_turn(api: Served) -> None:
    async with connected(api) as (reader, writer):
        writer.write(GOOD + GOOD + chunked(b"zz\r\n"))
        found = [await answer_of(reader) for _ in range(3)]
        assert [one.status for one in found] == [200, 200, 400]
        assert await reader.read() == b""


async def test_a_connection_has_a_bounded_queue(api: Served) -> None:
    async with connected(api) as (reader, writer):
        writer.write(GOOD * 1_000)
        found = [await answer_of(reader) for _ in range(PIPELINE_MAX + 2)]
        assert [one.status for one in found] == [200] * (PIPELINE_MAX + 1) + [429]
        see_problem(found[-1])
        assert await reader.read() == b""


async def test_no_trailer_is_a_header(api: Served) -> None:
    trailers = b"X-Request-ID: from-a-trailer\r\nAuthorization: Bearer sct_x\r\n"
    async with connected(api) as (reader, writer):
        writer.write(head(b"/api/nothing", b"Transfer-Encoding: chunked") + b"0\r\n" + trailers + b"\r\n")
        found = await answer_of(reader)
        assert (found.status, found.header("x-request-id") != "from-a-trailer") == (404, True)


async def test_an_error_of_any_layer_is_a_problem_with_an_id_in_the_log(
    api: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for layer in (HeadAsGet, BodyLimit, SecurityHeaders, CorrelationIdMiddleware):

        async def broken(*_: object) -> None:
            raise RuntimeError("not foreseen")

        with monkeypatch.context() as patch:
            patch.setattr(layer, "__call__", broken)
            async with connected(api) as (reader, writer):
                writer.write(GOOD)
                found = await answer_of(reader)
        assert found.status == 500
        see_problem(found)
        said = capfd.readouterr()
        assert "RuntimeError" not in found.body.decode()
        assert f"request_id={found.header('x-request-id')}" in said.out, layer
        assert "Exception in ASGI application" not in said.err
