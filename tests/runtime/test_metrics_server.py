"""The server of metrics and probes: what it answers to whom, and that a slow client holds up nobody."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from solve_runtime import metrics_server
from solve_runtime.metrics_server import serving_metrics
from tests.waiting import until


@pytest.fixture
def registry() -> CollectorRegistry:
    """One counter."""
    made = CollectorRegistry()
    Counter("turns", "Of a test.", registry=made)
    return made


@pytest.fixture
async def port(registry: CollectorRegistry) -> AsyncIterator[int]:
    """A server with one counter, a probe that passes, one that fails, and one that raises."""

    def broken() -> tuple[bool, dict[str, object]]:
        raise ZeroDivisionError

    probes = {
        "/livez": lambda: (True, {"alive": True}),
        "/readyz": lambda: (False, {"ready": False}),
        "/broken": broken,
    }
    async with serving_metrics("127.0.0.1", 0, registry, probes, "") as found:  # type: ignore[arg-type]
        yield found


async def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""

    def exchange() -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            said = {name: value for name, value in response.getheaders() if name != "Date"}
            return response.status, said, response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/metrics", 200, b"turns_total 0.0"),
        ("GET", "/metrics?name[]=turns_total", 200, b"turns_total 0.0"),
        ("GET", "/livez", 200, b'{"alive": true}'),
        ("GET", "/livez?verbose", 200, b'{"alive": true}'),
        ("GET", "/readyz", 503, b'{"ready": false}'),
        ("GET", "/", 404, b"/metrics, /livez, /readyz, /broken"),
        ("POST", "/", 404, b"/metrics, /livez, /readyz, /broken"),
        ("POST", "/metrics", 405, b"use GET or HEAD"),
        ("DELETE", "/livez", 405, b"use GET or HEAD"),
        ("OPTIONS", "*", 404, b"this serves"),
        ("GET", "//[/metrics", 400, b"not an HTTP request"),
        ("GET", "/broken", 500, b"internal-error"),
    ],
)
async def test_a_request_gets_its_answer(port: int, method: str, path: str, status: int, said: bytes) -> None:
    found, headers, body = await ask(port, method, path)
    assert found == status
    assert said in body
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers
    if status not in {200, 503}:
        assert headers["Content-Type"] == "application/problem+json"
        assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000, 431),
        (b"PRI * HTTP/2.0\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_answered_as_a_problem_too(port: int, request_: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_)
    head, body = (await reader.read()).split(b"\r\n\r\n")
    writer.close()
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status


async def test_head_is_answered_like_get_without_the_body(port: int) -> None:
    status, headers, body = await ask(port, "GET", "/livez")
    assert await ask(port, "HEAD", "/livez") == (status, headers, b"")
    assert headers["Content-Length"] == str(len(body))


async def test_metrics_are_compressed_where_the_client_takes_it(port: int) -> None:
    _, headers, body = await ask(port, "GET", "/metrics", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert b"turns_total 0.0" in gzip.decompress(body)


async def test_clients_that_say_nothing_hold_up_nobody(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    try:
        assert (await ask(port, "GET", "/livez"))[0] == 200
    finally:
        for one in silent:
            one.close()


@pytest.mark.parametrize("drip", [b"", b"GET /livez HTTP/1.1\r\n"])
async def test_a_request_has_one_deadline_however_it_drips(
    port: int, drip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "REQUEST_TIMEOUT_S", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(drip)

    async def is_dropped() -> bool:
        writer.write(drip and b"a: b\r\n")
        return reader.at_eof() or reader.exception() is not None

    left = asyncio.ensure_future(reader.read())
    await until(is_dropped, "the slow client to be dropped")
    await asyncio.gather(left, return_exceptions=True)
    writer.close()


async def test_a_client_that_takes_no_answer_is_dropped(
    registry: CollectorRegistry, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "REQUEST_TIMEOUT_S", 0.5)
    large = Counter("large", "Of a test.", ("name",), registry=registry)
    for number in range(40):
        large.labels(f"{number}" + "x" * 200_000)
    with capture_logs() as lines, socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        await until(lambda: any("TimeoutError" in line["error"] for line in lines if "error" in line), "the end")
    assert (await ask(port, "GET", "/livez"))[0] == 200


async def test_beyond_the_limit_the_oldest_connection_is_closed(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics_server, "CONNECTIONS_MAX", 5)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
    assert (await ask(port, "GET", "/livez"))[0] == 200
    await until(lambda: sum(_has_ended(reader) for reader, _ in silent) >= 26, "the oldest to be closed")
    assert [line for line in capsys.readouterr().out.splitlines() if "too many connections" in line][1:] == []
    for _, writer in silent:
        writer.close()


def _has_ended(reader: asyncio.StreamReader) -> bool:
    return reader.at_eof() or reader.exception() is not None


async def test_a_failure_is_no_traceback_on_standard_error(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert (await ask(port, "GET", "/broken"))[0] == 500
    assert "Traceback" not in capfd.readouterr().err
