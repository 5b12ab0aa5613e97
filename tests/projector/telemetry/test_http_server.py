"""The server of metrics and probes: what it answers to whom, and that a slow client holds up nobody."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Counter

from solve_projector.telemetry import http_server
from solve_projector.telemetry.http_server import serving_metrics


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with one counter, a probe that passes, one that fails, and one that raises."""
    registry = CollectorRegistry()
    Counter("turns", "Of a test.", registry=registry)

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
        ("POST", "/metrics", 405, b"use OPTIONS or GET"),
        ("DELETE", "/livez", 405, b"use OPTIONS or GET"),
        ("GET", "/broken", 500, b""),
    ],
)
async def test_a_request_gets_its_answer(port: int, method: str, path: str, status: int, said: bytes) -> None:
    found, headers, body = await ask(port, method, path)
    assert found == status
    assert said in body
    if status != 500:
        assert headers["Cache-Control"] == "no-store"


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


async def test_a_client_that_says_nothing_is_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server._Handler, "timeout", 0.05)

    def hung_up() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as silent:
            return silent.recv(1)

    assert await asyncio.to_thread(hung_up) == b""


async def test_a_failure_is_no_traceback_on_standard_error(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert (await ask(port, "GET", "/broken"))[0] == 500
    assert "Traceback" not in capfd.readouterr().err
