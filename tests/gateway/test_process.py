"""`solve-producer serve` as a process: Kafka that is stopped, kill -9 under load, an end that loses no answer."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from devstack import Stack
from devstack.ports import free_port
from solve_gateway.process import grace_s_of
from solve_gateway.settings import GatewaySettings
from solve_gateway.tokens import add_token
from solve_schemas.record import encode_line
from tests.api.served import problem_of
from tests.asking import by_labels, parsed
from tests.events import solved
from tests.gateway.reading import records_in
from tests.gateway.serving import JSON, NDJSON, gateway, gateway_process, until_metric
from tests.gateway.test_events import TYPED
from tests.sources.commands import solve_producer
from tests.waiting import until
from tests.world import World

DEPLOY = Path(__file__).parents[2] / "deploy"
KILLS = 3
SENDERS = 4


def event(number: int) -> bytes:
    return encode_line(solved(f"k-{number}", f"user-{number % 7}", f"p-{number}", number)).encode()


async def test_while_kafka_is_unavailable_nothing_is_accepted_and_nothing_lost(
    breakable: World, stack: Stack, tmp_path: Path
) -> None:
    async with (
        gateway(breakable.connection, tmp_path, gateway_delivery_timeout_s=1) as served,
        served.judge() as judge,
    ):
        assert (await judge.post("/v1/events", content=event(0), headers=JSON)).status_code == 200
        assert (await judge.get("/readyz")).json() == {"ready": True, "missing": []}
        await asyncio.to_thread(stack.kafka.kill)
        kinds = set()
        for _ in range(3):  # the first was sent, the others wait for no connection
            answer = await judge.post("/v1/events", content=event(1), headers=JSON)
            kinds.add(answer.json()["type"].rpartition(":")[2])
            problem_of(answer, 503, answer.json()["type"].rpartition(":")[2])
            assert int(answer.headers["retry-after"]) > 0
            assert breakable.connection.bootstrap_servers not in answer.text
        assert kinds <= {"not-confirmed", "kafka-unavailable"}
        assert "kafka-unavailable" in kinds
        bad = b'{"type":"submission.solved.v1"}'
        answer = await judge.post("/v1/events", content=b"\n".join([event(2), bad, event(3)]), headers=NDJSON)
        body = problem_of(answer, 503, "kafka-unavailable")
        assert [one["status"] for one in body["results"]] == [503, 400, 503]
        await until(lambda: _missing(judge, "Kafka"), "the gateway to see that Kafka is gone")
        assert (await judge.get("/livez")).status_code == 200
        async with gateway(breakable.connection, tmp_path) as late:  # one that starts meanwhile
            judge.base_url = httpx.URL(late.address)
            problem_of(await judge.post("/v1/events", content=event(4), headers=JSON), 503, "kafka-unavailable")
            await asyncio.to_thread(stack.kafka.start)
            await until(lambda: _accepts(judge, event(4)), "the late gateway to publish")
        judge.base_url = httpx.URL(served.address)
        await until(lambda: _accepts(judge, event(1)), "the gateway to publish again")
        await until(lambda: _ready(judge), "the gateway to be ready")
    found = {json.loads(one.value)["submission_id"] for one in await records_in(breakable.connection)}
    assert {"k-0", "k-1", "k-4"} <= found


async def test_what_was_accepted_is_in_the_log_after_kill_9(world: World, tmp_path: Path) -> None:
    chance, accepted, numbers = random.Random(), set[str](), iter(range(1_000_000))

    async def send(judge: httpx.AsyncClient) -> None:
        while True:
            some = [next(numbers) for _ in range(chance.choice([1, 1, 40]))]
            body, headers = b"\n".join(map(event, some)), NDJSON if len(some) > 1 else JSON
            try:
                answer = await judge.post("/v1/events", content=body, headers=headers)
            except httpx.HTTPError:
                return  # the gateway is gone
            if len(some) == 1 and answer.status_code == 200:
                accepted.add(f"k-{some[0]}")
            elif len(some) > 1 and answer.status_code in {200, 207}:
                results = answer.json()["results"]
                accepted.update(f"k-{some[one['index']]}" for one in results if one["status"] == 200)

    for kill in range(KILLS):
        async with gateway_process(world, tmp_path) as (served, process), served.judge(f"judge-{kill}") as judge:
            before = len(accepted)
            senders = [asyncio.create_task(send(judge)) for _ in range(SENDERS)]
            await until(lambda before=before: len(accepted) > before + 100, "events to be accepted", poll_s=0.01)
            await asyncio.sleep(chance.uniform(0, 0.1))
            process.kill()
            await asyncio.gather(*senders)
    found = {json.loads(one.value)["submission_id"] for one in await records_in(world.connection)}
    assert accepted - found == set()
    assert len(accepted) > KILLS * 100


async def test_term_answers_what_is_under_way(world: World, tmp_path: Path) -> None:
    go_on, port = asyncio.Event(), free_port()

    async def body() -> AsyncIterator[bytes]:
        yield event(1) + b"\n"
        await go_on.wait()
        yield event(2)

    metrics = {"SOLVE_GATEWAY_METRICS_PORT": str(port)}
    async with gateway_process(world, tmp_path, **metrics) as (served, process), served.judge() as judge:
        sending = asyncio.create_task(judge.post("/v1/events", content=body(), headers=NDJSON))
        await until_metric(port, "solve_gateway_in_flight_requests", 1)
        idle, writer = await asyncio.open_connection(*_place(served.address))
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.readuntil(b"}")
        process.terminate()
        assert await idle.read() == b""  # it ends, and closes what is idle
        writer.close()
        go_on.set()
        answer = await sending
        assert (answer.status_code, answer.json()["delivered"]) == (200, 2)
        _, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    assert len(await records_in(world.connection)) == 2


async def test_metrics_count_what_became_of_events_and_requests(world: World, tmp_path: Path) -> None:
    port = free_port()
    async with (
        gateway(world.connection, tmp_path, gateway_metrics_port=port) as served,
        served.judge("a-judge") as judge,
        served.client() as anybody,
    ):
        await judge.post("/v1/events", content=b"\n".join([TYPED, TYPED, b"{}"]), headers=NDJSON)
        await judge.post("/v1/events", content=b"{", headers=JSON)
        await anybody.post("/v1/events", content=TYPED, headers=JSON)
        await anybody.get("/nothing")
        await anybody.get("/livez")
        series = parsed((await anybody.get(f"http://127.0.0.1:{port}/metrics")).text)
    assert by_labels(series, "solve_gateway_events_total") == {
        ("accepted", "a-judge"): 2,
        ("invalid-event", "a-judge"): 1,
        ("not-json", "a-judge"): 1,
    }
    assert by_labels(series, "solve_gateway_refused_requests_total") == {
        ("not-json",): 1, ("token-unknown",): 1, ("not-found",): 1
    }  # fmt: skip
    assert by_labels(series, "solve_gateway_request_seconds_count") == {
        ("/v1/events", "207"): 1,
        ("/v1/events", "400"): 1,
        ("/v1/events", "401"): 1,
        ("unknown", "404"): 1,
        ("/livez", "200"): 1,
    }
    assert by_labels(series, "solve_gateway_in_flight_bytes") == {}


async def test_a_body_that_stalls_is_to_be_sent_again_as_the_page_says(world: World, tmp_path: Path) -> None:
    """What came of it before is published, and the answer has no `results`."""
    async with gateway(world.connection, tmp_path, gateway_body_timeout_s=0.5) as served:
        raw = add_token(served.tokens_file, "stalls")
        reader, writer = await asyncio.open_connection(*_place(served.address))
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {raw}\r\nContent-Length: 900\r\n"
        writer.write(f"{head}Content-Type: application/x-ndjson\r\n\r\n".encode() + event(1) + b"\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"results" not in answer
    assert len(await records_in(world.connection)) == 1
    assert "\n| 408 |" in (DEPLOY.parent / "docs" / "gateway.md").read_text()


async def test_a_client_that_left_is_no_error_of_ours(world: World, tmp_path: Path) -> None:
    port = free_port()
    async with gateway(world.connection, tmp_path, gateway_metrics_port=port) as served, served.client() as anybody:
        raw = add_token(served.tokens_file, "leaves")
        _, writer = await asyncio.open_connection(*_place(served.address))
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {raw}\r\nContent-Length: 900\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
        await until_metric(port, "solve_gateway_in_flight_requests", 1)
        writer.close()
        await until_metric(port, "solve_gateway_in_flight_requests", 0)
        series = parsed((await anybody.get(f"http://127.0.0.1:{port}/metrics")).text)
    assert by_labels(series, "solve_gateway_request_seconds_count") == {("/v1/events", "0"): 1}


def test_whoever_starts_it_gives_it_the_time_that_its_last_answers_may_take() -> None:
    settings = GatewaySettings(gateway_tokens_file=Path("x"))
    unit = (DEPLOY / "systemd" / "solve-gateway.service").read_text()
    manifest = (DEPLOY / "kubernetes" / "gateway" / "gateway.yaml").read_text()
    given = [*re.findall(r"TimeoutStopSec=(\d+)", unit), *re.findall(r"terminationGracePeriodSeconds: (\d+)", manifest)]
    assert len(given) == 2
    # an answer waits until Kafka is connected and until it has confirmed; then the client closes in as long
    timeout_s = settings.gateway_delivery_timeout_s
    assert grace_s_of(settings) > 2 * timeout_s
    assert min(map(int, given)) > grace_s_of(settings) + timeout_s


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SOLVE_GATEWAY_TOKENS_FILE": "/nowhere/tokens"}, "solve-producer tokens add NAME"),
        ({"SOLVE_GATEWAY_SPOOL_FOLDER": "/nowhere/spool"}, "check SOLVE_GATEWAY_SPOOL_FOLDER"),
        ({"SOLVE_GATEWAY_PORT": "1", "SOLVE_GATEWAY_HOST": "192.0.2.1"}, "SOLVE_GATEWAY_PORT, or --host"),
    ],
)
async def test_what_cannot_work_is_one_line(world: World, tmp_path: Path, changes: dict[str, str], said: str) -> None:
    add_token(tmp_path / "tokens", "first")
    environment = {"SOLVE_GATEWAY_TOKENS_FILE": str(tmp_path / "tokens")} | changes
    ended = await solve_producer(world, "serve", **environment)
    assert (ended.status, ended.stdout) == (1, ""), ended.stderr
    (line,) = [one for one in ended.stderr.splitlines() if one.startswith("solve-producer: ")]
    assert said in line
    assert "Traceback" not in ended.stderr


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("http://").rpartition(":")
    return host, int(port)


async def _accepts(judge: httpx.AsyncClient, content: bytes) -> bool:
    return (await judge.post("/v1/events", content=content, headers=JSON)).status_code == 200


async def _ready(judge: httpx.AsyncClient) -> bool:
    return (await judge.get("/readyz")).status_code == 200


async def _missing(judge: httpx.AsyncClient, what: str) -> bool:
    answer = await judge.get("/readyz")
    return answer.status_code == 503 and what in answer.text
