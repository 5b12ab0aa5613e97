"""Clients that keep others out: too many connections, and connections that never finish what they began."""

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from solve_api.http.open_file_limit import OWN_FILES, Fitting, fit_open_files
from solve_api.settings import ApiSettings
from solve_runtime.http import connections
from solve_runtime.http.protocol import PIPELINE_MAX
from tests.api.listening import Api, hearing
from tests.waiting import until
from tests.world import World

FEW = {"api_connections_max": 6, "api_connections_address_max": 3, "api_streams_max": 4, "api_streams_address_max": 4}
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
FORM = b"POST /api/admin/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
STREAM = b"GET /api/events?board=true HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes = LIVE) -> int:
        """The status of an answer whose head and body are read."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await self.reader.readexactly(int(fields.get("content-length", "0")))
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()


class Clients:
    """Opens connections to a server, from several addresses."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.all: list[Client] = []

    async def enter(self, address: str = "127.0.0.1") -> Client:
        """A new connection, closed with the test."""
        streams = await asyncio.open_connection("127.0.0.1", self.api.port, local_addr=(address, 0))
        self.all.append(Client(*streams))
        return self.all[-1]

    async def until_open(self, number: int) -> None:
        """Waits until the server has that many."""
        connections = self.api.server.server_state.connections
        await until(lambda: len(connections) == number, f"{number} connections")


def waiting(clients: Clients) -> list[object]:
    """The connections that wait for a request or for its body."""
    return list(clients.api.server.config.http.args[0]._waiting)  # type: ignore[union-attr]


@asynccontextmanager
async def clients_of(world: World, **changes: object) -> AsyncIterator[Clients]:
    """A server with few connections."""
    async with hearing(world, **{**FEW, **changes}) as api:
        clients = Clients(api)
        try:
            yield clients
        finally:
            for client in clients.all:
                client.writer.close()


async def test_whoever_holds_all_that_one_address_may_have_keeps_nobody_else_out(world: World) -> None:
    with capture_logs() as lines:
        async with clients_of(world) as clients:
            for _ in range(3):
                await clients.enter("127.0.0.2")
            await clients.until_open(3)
            for _ in range(20):
                head, body = (await (await clients.enter("127.0.0.2")).rest()).split(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nRetry-After: 5\r\n" in head
                assert b"\r\nX-Request-ID: " in head
                assert json.loads(body)["type"] == "urn:solve-counts:problem:too-many-connections"
            assert await (await clients.enter()).ask() == 200
            await until(lambda: [line for line in lines if line.get("action") == "connections_refused"], "a line")
    (line,) = [line for line in lines if line.get("action") == "connections_refused"]
    assert (line["client"], line["log_level"]) == ("127.0.0.2", "warning")


async def test_a_place_is_free_again_when_its_connection_ends(world: World) -> None:
    async with clients_of(world) as clients:
        for _ in range(10):
            client = await clients.enter()
            assert await client.ask() == 200
            client.writer.close()
            await clients.until_open(0)


async def test_when_all_places_are_taken_whoever_waited_longest_goes(world: World) -> None:
    async with clients_of(world) as clients:
        addresses = [f"127.0.0.{number}" for number in (2, 2, 2, 3, 3, 3)]
        streams = [await clients.enter(address) for address in addresses[:2]]
        for stream in streams:
            assert await stream.ask(STREAM) == 200
        idle = [await clients.enter(address) for address in addresses[2:]]
        for client in idle:
            assert await client.ask() == 200
        assert await idle[0].ask() == 200  # the second has waited longest now
        assert await (await clients.enter()).ask() == 200
        assert await idle[1].rest() == b""
        assert [await client.ask() for client in (idle[0], *idle[2:])] == [200] * 3
        await until(lambda: clients.api.changes.hub.streams == 2, "the streams to go on")


async def test_when_all_places_are_at_work_one_more_is_refused(world: World) -> None:
    changes = {"api_connections_max": 5, "api_streams_max": 4, "api_connections_address_max": 4}
    async with clients_of(world, **changes) as clients, world.database() as database:
        for _ in range(4):
            assert await (await clients.enter("127.0.0.2")).ask(STREAM) == 200
        late = await clients.enter("127.0.0.3")
        async with database.transaction():
            await database.execute("LOCK TABLE admins")
            late.writer.write(FORM + b'{"name": "nobody", "password": "nothing"}'.ljust(50))
            await until(lambda: len(waiting(clients)) == 0, "the form to be read")
            assert (await (await clients.enter()).rest()).startswith(b"HTTP/1.1 503 ")
        assert await late.ask(b"") == 401


async def test_whoever_sends_no_body_keeps_nobody_out(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    async with clients_of(world) as clients:
        unread, fed = FORM.replace(b"/api/admin/login", b"/livez"), FORM + b" " * 10
        for address, started in (("127.0.0.2", (FORM, LIVE + FORM, fed)), ("127.0.0.3", (unread, LIVE + fed, FORM))):
            for request in started:
                client = await clients.enter(address)
                client.writer.write(request)
        all_open = clients.api.server.server_state.connections
        await until(lambda: sum(bool(one.cycle) and one._in_body for one in all_open) == 6, "the heads to be read")
        await until(lambda: len(waiting(clients)) == 6, "what came before to be answered")
        for request in (STREAM, STREAM, LIVE):
            assert await (await clients.enter()).ask(request) == 200
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


async def test_whoever_is_answered_before_its_body_comes_is_not_kept_for_ever(world: World) -> None:
    early = b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    upgrade = early.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost")
    async with clients_of(world) as clients:
        clients.api.server.config.timeout_keep_alive = 1
        followed = await clients.enter("127.0.0.2")
        assert await followed.ask(early) == 405
        assert await followed.ask(b"12345" + STREAM) == 200
        for request in (early, upgrade):
            client = await clients.enter()
            assert await client.ask(request) == 405
            client.writer.write(b"12345")
            ended = asyncio.ensure_future(client.rest())
            await until(ended.done, f"{request!r} to end")
        assert clients.api.changes.hub.streams == 1


async def test_what_is_closed_for_others_or_for_its_silence_is_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REPORT_INTERVAL_S", 0.0)
    with capture_logs() as lines:
        async with clients_of(world, api_head_timeout_s=1) as clients:
            for number in range(7):
                await clients.enter(f"127.0.0.{number + 2}")
            for event, client in ((connections.EVICTED, "127.0.0.2"), (connections.SILENT, "127.0.0.")):
                found = await until(lambda event=event: [one for one in lines if one["event"] == event], event)
                assert found[0]["client"].startswith(client)


async def test_a_flood_that_cannot_be_read_has_a_few_lines_and_a_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINES_MAX", 3)
    monkeypatch.setattr(connections, "NETWORKS_MAX", 2)
    with capture_logs() as lines:
        async with clients_of(world) as clients:
            for address, number in (("127.0.0.2", 10), ("127.0.0.3", 1), ("127.0.0.4", 2)):
                for _ in range(number):
                    client = await clients.enter(address)
                    assert await client.ask(b"nothing\r\n\r\n") == 400
                    client.writer.close()
                    await clients.until_open(0)
            await until(lambda: [one for one in lines if one["event"] == connections.UNREADABLE], "a number")
    refused = [one["client"] for one in lines if one.get("action") == "request_refused"]
    assert refused == ["127.0.0.2"] * 3 + ["127.0.0.3"]


async def test_a_trusted_proxy_brings_many_and_is_bounded_by_the_limit_of_all(world: World) -> None:
    async with clients_of(world, api_trusted_proxies=("127.0.0.1",)) as clients:
        for _ in range(FEW["api_connections_max"]):
            assert await (await clients.enter()).ask() == 200
        await clients.until_open(6)
        assert await (await clients.enter()).ask() == 200
        await clients.until_open(6)


async def test_each_part_of_a_request_has_one_deadline_however_it_drips(world: World) -> None:
    many = {"api_connections_max": 100, "api_connections_address_max": 50}
    async with clients_of(world, api_head_timeout_s=0.5, api_body_timeout_s=0.5, **many) as clients:

        async def dripping(first: bytes, drop: bytes) -> bytes:
            client = await clients.enter()
            client.writer.write(first)
            ended = asyncio.ensure_future(client.rest())

            def drip() -> bool:
                if not ended.done():
                    client.writer.write(drop)
                return ended.done()

            await until(drip, f"{first!r} to be refused")
            return await ended

        with capture_logs() as lines:
            silent, head, later, body, unread, pipelined = await asyncio.gather(
                dripping(b"", b""),
                dripping(LIVE[:21], b"a"),
                dripping(LIVE + LIVE[:10], b"a"),
                dripping(FORM, b""),
                dripping(FORM.replace(b"/api/admin/login", b"/livez"), b""),
                dripping(LIVE + FORM, b""),
            )
        assert silent == b""
        assert head.startswith(b"HTTP/1.1 408 ")
        for both in (later, pipelined):
            assert [part[:3] for part in both.split(b"HTTP/1.1 ")[1:]] == [b"200", b"408"]
        assert body.startswith(b"HTTP/1.1 408 ")
        assert [part[:3] for part in unread.split(b"HTTP/1.1 ")[1:]] == [b"405"]
        for answer in (head, later, body, pipelined):
            said, text = answer.rsplit(b"\r\n\r\n", 1)
            request_id = said.rpartition(b"X-Request-ID: ")[2].split(b"\r\n")[0].decode()
            assert json.loads(text)["type"] == "urn:solve-counts:problem:request-timeout"
            assert [line["status"] for line in lines if line.get("request_id") == request_id] == [408]


async def test_a_stream_outlives_every_deadline(world: World) -> None:
    short = {f"api_{part}_timeout_s": 0.1 for part in ("head", "body", "answer")}
    async with clients_of(world, **short) as clients:
        stream = await clients.enter()
        assert await stream.ask(STREAM) == 200
        assert await (await clients.enter("127.0.0.2")).rest() == b""  # the sweep has been here
        assert await (await clients.enter("127.0.0.2")).rest() == b""
        assert clients.api.changes.hub.streams == 1


async def test_whatever_is_queued_after_a_stream_it_ends_with_its_connection(world: World) -> None:
    async with clients_of(world, api_connections_address_max=5) as clients:
        for queued in (b"", LIVE, FORM, LIVE * 2, LIVE * (PIPELINE_MAX + 1), b"nothing\r\n\r\n"):
            for at_once in (True, False):
                stream = await clients.enter()
                first, later = (STREAM + queued, b"") if at_once else (STREAM, queued)
                assert await stream.ask(first) == 200
                (connection,) = clients.api.server.server_state.connections
                stream.writer.write(later)
                number = 0 if queued == b"nothing\r\n\r\n" else min(queued.count(b"Host"), PIPELINE_MAX)
                await until(lambda one=connection, all_=number: len(one.pipeline) == all_, "the queue")
                stream.writer.close()
                await until(lambda: clients.api.changes.hub.streams == 0, f"the stream before {queued!r} to end")


async def test_who_takes_no_answer_is_disconnected(world: World) -> None:
    with capture_logs() as lines:
        async with clients_of(world, api_answer_timeout_s=0.5) as clients:
            with socket.socket() as idle:
                idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
                idle.connect(("127.0.0.1", clients.api.port))
                await clients.until_open(1)
                (connection,) = clients.api.server.server_state.connections
                connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_048)
                idle.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * PIPELINE_MAX)
                await clients.until_open(0)
            await until(lambda: any("do not take" in line["event"] for line in lines), "a line")


def test_connections_fit_in_the_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1_024, 2_000]

    def lifted(_: int, wanted: tuple[int, int]) -> None:
        limits[:] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lifted)
    settings = ApiSettings(api_connections_max=500, api_connections_address_max=100, api_streams_max=100)
    assert fit_open_files(settings) == Fitting(500, 100)
    assert limits == [1_024, 2_000]
    own = OWN_FILES + settings.api_pool_size
    assert fit_open_files(ApiSettings()) == Fitting(2_000 - own, 1_800)
    assert limits == [2_000, 2_000]


@pytest.mark.parametrize("name", ["api_streams_max", "api_connections_address_max"])
def test_no_part_of_the_connections_is_all_of_them(name: str) -> None:
    with pytest.raises(ValidationError, match=f"SOLVE_{name.upper()} must be less than SOLVE_API_CONNECTIONS_MAX"):
        ApiSettings(**{name: 3_000})
