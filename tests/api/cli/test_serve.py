"""`solve-api serve`: says where it serves, ends cleanly, and refuses to start where waiting would not help."""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.world import World


@asynccontextmanager
async def served(world: World, *words: str, **changes: str) -> AsyncIterator[Process]:
    """The command as a process; killed where it still runs."""
    environment = world.environment | {"SOLVE_API_PORT": "0"} | changes
    command = (sys.executable, "-m", "solve_api", "serve", *words)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_and_ends_cleanly_also_with_open_streams(world: World, number: signal.Signals) -> None:
    async with served(world, "--json", SOLVE_LOG_LEVEL="INFO") as process:
        assert process.stdout
        address = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            assert (await client.get("/readyz")).status_code == 200
            async with client.stream("GET", "/api/events?board=true") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines)
                process.send_signal(number)
                async for _ in lines:  # to its end, which is a whole answer
                    pass
        _, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    assert [line for line in log.decode().splitlines() if json.loads(line)["level"] in {"error", "critical"}] == []


async def test_lines_of_libraries_have_the_request_id_too(world: World) -> None:
    async with served(world, "--json", SOLVE_LOG_LEVEL="INFO", SOLVE_LOG_FORMAT="json") as process:
        assert process.stdout
        address = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            form = {"Content-Type": "multipart/form-data; boundary=a", "X-Request-ID": "the-id-of-this"}
            assert (await client.post("/admin/login", content=b"--b\r\n", headers=form)).status_code == 400
        process.terminate()
        _, log = await process.communicate()
    lines = [json.loads(line) for line in log.decode().splitlines()]
    ids = {line["logger"]: line.get("request_id") for line in lines if "logger" in line}
    assert ids == {"python_multipart.multipart": "the-id-of-this"}


NOISY: dict[str, tuple[str, str, dict[str, str]]] = {
    "a request id that is none": ("GET", "/nothing", {"X-Request-ID": "not an id"}),
    "the same without a rate": ("GET", "/livez", {"X-Request-ID": "not an id"}),
    "an upgrade": ("GET", "/", {"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}),
    "a preflight": ("OPTIONS", "/api/users", {"Origin": "https://x.y", "Access-Control-Request-Method": "PUT"}),
    "a forged origin": ("POST", "/admin/login", {"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
    "a token that is none": ("GET", "/api/admin/jobs", {"Authorization": "Bearer sct_x"}),
    "a cookie that is none": ("GET", "/admin", {"Cookie": "session=; =; a"}),
    "a proxy that is none": ("GET", "/", {"X-Forwarded-For": "x,,,", "X-Forwarded-Proto": "gopher"}),
    "a form that is none": ("POST", "/admin/login", {"Content-Type": "multipart/form-data; boundary="}),
    "a form of another charset": ("POST", "/admin/login", {"Content-Type": "multipart/form-data; charset=x"}),
    "an event id that is none": ("GET", "/api/events?board=true", {"Last-Event-ID": "x" * 900}),
    "a method that is none": ("PURGE", "/livez", {}),
}


async def test_no_request_writes_a_line_before_its_rate(world: World) -> None:
    rate = {"SOLVE_API_READ_RATE": "1/hour", "SOLVE_API_CORS_ORIGINS": "https://judge.example"}
    async with served(world, "--json", SOLVE_LOG_LEVEL="INFO", SOLVE_LOG_FORMAT="json", **rate) as process:
        assert process.stdout
        address = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            await client.get("/")
            for method, path, headers in NOISY.values():
                content = b"--b\r\n" * 50 if method == "POST" else None
                answers = [await client.request(method, path, headers=headers, content=content) for _ in range(3)]
                assert {one.status_code for one in answers} <= {429} or path == "/livez", (method, path)
        process.terminate()
        _, log = await process.communicate()
    lines = [json.loads(line) for line in log.decode().splitlines()]
    assert [line for line in lines if "request_id" in line or "logger" in line] == []


async def refusal(world: World, status: int = 1, **changes: str) -> str:
    """The one line that it ends with."""
    async with served(world, **changes) as process:
        out, said = await process.communicate()
    assert (process.returncode, out) == (status, b"")
    (line,) = [line for line in said.decode().splitlines() if line.startswith("solve-api: ")]
    assert "Traceback" not in said.decode()
    return line


async def test_an_address_or_a_database_that_waiting_cannot_repair_is_refused(world: World) -> None:
    for url, status in (
        ("nonsense", 2),
        ("mysql://x/y", 2),
        (urlsplit(world.environment["DATABASE_URL"])._replace(path="/none").geturl(), 1),
    ):
        line = await refusal(world, status, DATABASE_URL=url)
        assert ("check DATABASE_URL" if status == 1 else "DATABASE_URL must be postgresql://") in line, line


async def test_a_port_that_is_taken_is_named_with_what_to_do(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = await refusal(world, SOLVE_API_PORT=str(port))
    assert line == (
        f"solve-api: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "set SOLVE_API_HOST and SOLVE_API_PORT, or --host and --port"
    )
