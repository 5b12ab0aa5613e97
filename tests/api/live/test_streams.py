"""Event streams: a thousand on one process, slow readers, limits, and the end of the server."""

import asyncio
import json
import resource
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from httpx import AsyncClient
from httpx_sse import aconnect_sse

from solve_api.http.open_file_limit import OTHER_FILES
from solve_api.routes import events
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.store.counts import Standing
from tests.api.listening import Listener, hearing
from tests.events import at, registered, solved
from tests.waiting import until
from tests.world import World

STREAMS = 1_000
USUAL_FILES = 1_024
ROUNDS = 600
SERVE = 'ulimit -S -n "$1" && ulimit -H -n "$2" && exec "$0" -m solve_api serve --json'


@asynccontextmanager
async def api_process(
    world: World, log: Path, files: int = USUAL_FILES, files_hard: int = 4 * USUAL_FILES
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """`solve-api serve` as a process of its own with these limits of open files, and its port."""
    environment = world.environment | {"SOLVE_API_PORT": "0"}
    words = ("sh", "-c", SERVE, sys.executable, str(files), str(files_hard))
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(*words, env=environment, stdout=PIPE, stderr=stderr)
    try:
        assert process.stdout is not None
        said = await process.stdout.readline()
        assert said, "the server did not begin"
        yield process, int(json.loads(said)["url"].rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def many_files() -> None:
    """Room for the listeners' side of a thousand streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * STREAMS)), hard))


async def begin_many(port: int) -> list[Listener]:
    """A hundred at a time, as fast as they are let in."""
    pages: list[Listener] = []
    while len(pages) < STREAMS:
        asked = [("user_id", "a"), ("board", "true")]
        pages += await asyncio.gather(*(Listener.begin(port, asked) for _ in range(100)))
    return pages


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_streams_all_hear_and_end_with_their_process(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    await world.publish([registered("a")])
    async with world.running(), api_process(world, log) as (process, port):
        pages = await begin_many(port)
        assert {page.status for page in pages} == {200}
        for page in pages:
            page.listen()
        await world.publish([solved("1", "a", "p", 1)])
        await until(lambda: all(page.counts("a")[-1:] == [1] for page in pages), "everybody to hear of the user")
        await until(lambda: all(page.of("board") for page in pages), "everybody to hear of the board")
        process.send_signal(signal.SIGTERM)
        await process.wait()
        await until(lambda: not any(page.open for page in pages), "the streams to end")
        await asyncio.gather(*(page.close() for page in pages))
    assert process.returncode in (0, -signal.SIGTERM)
    assert [line for line in log.read_text().splitlines() if json.loads(line)["level"] not in ("info", "debug")] == []


async def test_a_reader_that_sleeps_wakes_up_to_the_newest_and_skips_the_rest(world: World) -> None:
    users = ["𝄞" * 190 + f"{number:010}" for number in range(13)]  # as many as a request head can name
    version = 0
    async with open_leaderboard(world.settings, world.connection.topic) as board, hearing(world) as api:

        async def write_round() -> bool:
            nonlocal version
            version += 1
            await board.write(1, [Standing(user, version, at(version), version) for user in users])
            return any(connection.flow.write_paused for connection in api.server.server_state.connections)

        await api.started()
        sleeper = await Listener.begin(api.port, [("user_id", user) for user in users] + [("board", "true")])
        page = await api.listen(users[0])
        await until(write_round, "the sleeper's connection to be full")
        for _ in range(ROUNDS):  # more than the system's own buffers can take
            await write_round()
        await page.until_counts(users[0], version)
        sleeper.listen()
        for user in users:
            await sleeper.until_counts(user, version)
        assert len(sleeper.counts(users[0])) < version - ROUNDS // 4
        await sleeper.close()


async def test_a_quiet_stream_shows_that_it_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_S", 0.02)
    async with hearing(world) as api:
        await api.started()
        page = await api.listen("a")
        await until(lambda: page.heartbeats > 3, "heart-beats")
        assert (page.heard, page.open) == ([], True)


async def test_the_document_shows_events_as_they_are(world: World) -> None:
    await world.publish([registered("u-1"), solved("1", "u-1", "p", 1)])
    async with world.running(), hearing(world) as api, AsyncClient() as client:
        document = (await client.get(f"http://127.0.0.1:{api.port}/api/openapi.json")).json()
        answers = document["paths"]["/api/events"]["get"]["responses"]
        example = answers["200"]["content"]["text/event-stream"]["example"]
        assert answers.keys() == {"200", "400", "422", "429", "431", "503"}
        assert all(list(answers[status]["content"]) == ["application/problem+json"] for status in ("422", "429", "503"))
        page = await api.listen("u-1")
        await page.until_counts("u-1", 1)
        shown = dict(block.split("event: ")[1].split("\ndata: ") for block in example.strip().split("\n\n"))
        assert list(json.loads(shown["user"])) == list(page.of("user")[0])
        assert json.loads(shown["board"]) == {"changed": [json.loads(shown["user"])], "many": False}


async def test_an_event_does_not_wait_for_the_receipt_of_the_one_before(world: World) -> None:
    async with hearing(world) as api:
        await api.listen("a")
        (connection,) = api.server.server_state.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_what_the_limit_of_open_files_does_not_hold_has_to_wait(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    files = OTHER_FILES + 3
    async with api_process(world, log, files, files) as (_, port):
        pages = [await Listener.begin(port, [("user_id", "a")]) for _ in range(4)]
        assert [page.status for page in pages] == [200, 200, 200, 503]
        await asyncio.gather(*(page.close() for page in pages))
    assert "only 3 event streams fit" in log.read_text()


async def test_beyond_the_limit_somebody_has_to_wait(world: World) -> None:
    async with hearing(world, api_streams_max=2) as api:
        one, two = await api.listen("a"), await api.listen(board=True)
        three = await api.listen("a")
        assert (one.status, two.status, three.status, three.headers["retry-after"]) == (200, 200, 503, "5")
        assert json.loads(three.body)["type"] == "urn:solve-counts:problem:too-many-streams"
        await one.close()

        async def again() -> bool:
            return (await api.listen("a")).status == 200

        await until(again, "the place of a stream that was left")


async def test_one_address_does_not_take_the_room_of_all(world: World) -> None:
    proxied = {"api_streams_max": 4, "api_streams_address_max": 2, "api_trusted_proxies": ("127.0.0.1",)}
    async with hearing(world, **proxied) as api, AsyncClient() as client:
        url = f"http://127.0.0.1:{api.port}/api/events?board=true"

        @asynccontextmanager
        async def stream_of(address: str) -> AsyncIterator[int]:
            async with client.stream("GET", url, headers={"X-Forwarded-For": address}) as answer:
                yield answer.status_code

        async with stream_of("2001:db8::1") as one, stream_of("2001:db8::2") as two, stream_of("2001:db8::3") as three:
            assert (one, two, three) == (200, 200, 429)
            async with stream_of("192.0.2.7") as other:
                assert other == 200

        async def again() -> bool:
            async with stream_of("2001:db8::3") as status:
                return status == 200

        await until(again, "the place of a stream that was left")


async def test_a_client_that_reconnects_too_often_has_to_wait(world: World) -> None:
    async with hearing(world, api_read_rate="2/hour") as api:
        answers = [await api.listen("a") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["retry-after"]) > 0
        assert json.loads(answers[2].body)["type"] == "urn:solve-counts:problem:too-many-requests"
        assert api.changes.hub.streams == 2


async def test_a_server_that_ends_ends_its_streams(world: World) -> None:
    async with hearing(world) as api:
        pages = [await api.listen("a"), await api.listen(board=True)]
        assert all(page.open for page in pages)
        api.changes.hub.close()
        await until(lambda: not any(page.open for page in pages), "the streams to end")
        assert (await api.listen("a")).status == 503


@pytest.mark.parametrize(
    "query",
    [
        [],
        ["board=false"],
        ["user_id="],
        [f"user_id={'x' * 201}"],
        ["user_id=a%00b"],
        [f"user_id={n}" for n in range(51)],
    ],
)
async def test_what_cannot_be_watched_is_refused(world: World, query: list[str]) -> None:
    async with hearing(world) as api:
        async with AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{api.port}/api/events?{'&'.join(query)}")
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert api.changes.hub.streams == 0


async def test_a_reader_of_the_standard_understands_it(world: World) -> None:
    await world.publish([registered("a"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with hearing(world) as api, AsyncClient() as client:
        await api.started()
        url = f"http://127.0.0.1:{api.port}/api/events"
        async with aconnect_sse(client, "GET", url, params={"user_id": "a"}) as source:
            heard = aiter(source.aiter_sse())
            first, second = await anext(heard), await anext(heard)
        assert first.retry
        assert (second.event, second.json()["problems_solved"]) == ("user", 1)
        assert second.id == str(api.changes.hub.users_notified_to)


async def test_streams_that_broke_together_come_back_apart(world: World) -> None:
    async with hearing(world) as api, AsyncClient() as client:

        async def retry_of(query: str) -> int:
            async with client.stream("GET", f"http://127.0.0.1:{api.port}/api/events?{query}") as answer:
                return int((await anext(answer.aiter_lines())).removeprefix("retry: "))

        found = {await retry_of("board=true") for _ in range(20)}
    assert len(found) > 10
    assert min(found) >= events.RETRY_MS
