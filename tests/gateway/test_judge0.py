"""Judge0: its callback at a signed URL, and the sweep for callbacks that were lost.

The callback's body is what `call_callback` of Judge0's `app/jobs/isolate_job.rb` sends: the default fields, in base64.
"""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from devstack import Stack
from devstack.ports import free_port
from solve_gateway import judge0_callback_url
from solve_gateway.errors import BadSignature, CallbackUnsignable
from solve_gateway.judge0.signing import Callback, read_signed, signed
from solve_gateway.judge0.sweep import Swept, handed_in
from solve_producer.client import SolveProducer
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.record import encode
from tests.api.served import problem_of
from tests.events import at, revoked, solved
from tests.gateway.reading import record_at, records_in
from tests.gateway.serving import KEY, NDJSON, Served, gateway, until_metric
from tests.sources.commands import Ended, counts, solve_producer
from tests.waiting import until
from tests.world import World

NAMES = {3: "Accepted", 4: "Wrong Answer", 6: "Compilation Error", 13: "Internal Error", 1: "In Queue", 2: "Processing"}
WHOSE: dict[str, Any] = {
    "submission_id": "s-1", "user_id": "ada", "problem_id": "two-sum", "asked_at": at(7), "submitted_at": at(5),
    "contest_id": "cup", "language": "c++", "source": "/judges/of-judge0",
}  # fmt: skip


def result(status_id: int, **more: Any) -> dict[str, Any]:
    """As Judge0 sends it."""
    return {
        "token": "d85cd024-1548-4165-96c7-7bc88673f194", "time": "0.002", "memory": 3160,
        "stdout": b64encode(b"3\n").decode() + "\n", "stderr": None, "compile_output": None, "message": None,
        "status": {"id": status_id, "description": NAMES.get(status_id, "")},
    } | more  # fmt: skip


def path_of(base: str = "http://gateway", **changes: Any) -> str:
    return judge0_callback_url(KEY, base, **(WHOSE | changes)).removeprefix("http://gateway")


@pytest_asyncio.fixture
async def judge0(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Judge0, which has no token."""
    async with served.client() as client:
        yield client


async def test_an_accepted_result_is_a_solve_of_whom_the_url_names(
    judge0: httpx.AsyncClient, log: KafkaConnection
) -> None:
    answer = await judge0.put(path_of(), json=result(3))
    assert answer.status_code == 200, answer.text
    found = await record_at(log, answer.json())
    wanted = encode(
        solved("s-1", "ada", "two-sum", 7, submitted_at=at(5), contest_id="cup", language="c++"), "/judges/of-judge0"
    )
    assert (found.value, found.headers["ce_source"]) == (wanted.value, "/judges/of-judge0")


@pytest.mark.parametrize("status_id", [4, 5, 6, 7, 8, 9, 10, 11, 12, 14])
async def test_another_verdict_takes_back_what_an_earlier_judging_may_have_counted(
    judge0: httpx.AsyncClient, log: KafkaConnection, status_id: int
) -> None:
    answer = await judge0.put(path_of(), json=result(status_id))
    found = json.loads((await record_at(log, answer.json())).value)
    assert found == json.loads(
        revoked("s-1", "ada", "two-sum", 7, reason=found["reason"]).model_dump_json(exclude_none=True)
    )
    assert found["reason"] == NAMES.get(status_id, found["reason"])


@pytest.mark.parametrize("status_id", [1, 2, 13])
async def test_what_is_no_verdict_is_taken_and_not_stored(
    judge0: httpx.AsyncClient, log: KafkaConnection, status_id: int
) -> None:
    before = len(await records_in(log))
    answer = await judge0.put(path_of(), json=result(status_id))
    assert (answer.status_code, answer.json()) == (202, {"stored": False})
    assert len(await records_in(log)) == before


async def test_a_url_that_is_not_ours_is_refused(judge0: httpx.AsyncClient, log: KafkaConnection) -> None:
    before, path = len(await records_in(log)), path_of()
    said, _, signature = path.rpartition("/")[2].partition(".")
    other = urlsplit(judge0_callback_url("x" * 64, "http://gateway", **WHOSE)).path
    forged = urlsafe_b64encode(b'{"submission_id":"s-1","user_id":"eve","problem_id":"p"}').rstrip(b"=").decode()
    flipped = path[:-1] + chr(ord(path[-1]) ^ 1)
    wrong = [said, f"{said}.", f".{signature}", f"{forged}.{signature}", f"{said}.{signature}=", "é", "x" * 5_000]
    for one in (other, flipped, *(f"/v1/callbacks/judge0/{text}" for text in wrong)):
        problem_of(await judge0.put(one, json=result(3)), 403, "signature-wrong")
    assert len(await records_in(log)) == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "one JSON object"),
        (b"{}", "`status.id`"),
        (b'{"status":{"id":"3"}}', "`status.id`"),
        (b'{"status":{"id":true}}', "`status.id`"),
        (b'{"status":{"id":99}}', "`status.id` is 99"),
    ],
)
async def test_a_body_that_is_no_result_is_refused(judge0: httpx.AsyncClient, body: bytes, said: str) -> None:
    assert said in problem_of(await judge0.put(path_of(), content=body), 400, "result-invalid")["detail"]


@pytest.mark.parametrize("name", ["asked_at", "submitted_at"])
async def test_a_time_that_would_be_a_dead_letter_is_refused_before_a_200(
    judge0: httpx.AsyncClient, log: KafkaConnection, name: str
) -> None:
    before, tomorrow = len(await records_in(log)), datetime.now(UTC) + timedelta(days=1, minutes=5)
    with pytest.raises(CallbackUnsignable, match=f"`{name}` must be between 1970 and one day"):
        path_of(**{name: tomorrow})
    made = Callback.model_validate(WHOSE | {name: tomorrow})
    path = f"/v1/callbacks/judge0/{signed(KEY, made)}"  # of an earlier version, or of a clock that was wrong
    assert f"`{name}`" in problem_of(await judge0.put(path, json=result(3)), 400, "time-out-of-range")["detail"]
    swept = Swept()
    assert list(handed_in([json.dumps({"token": "t", "callback_url": path}).encode()], KEY, swept)) == []
    assert swept.bad_lines == 1
    assert f"1: `{name}`" in swept.named[0]
    assert len(await records_in(log)) == before


async def test_without_a_key_there_are_no_callbacks(log: KafkaConnection, tmp_path: Path) -> None:
    async with gateway(log, tmp_path, gateway_callback_key=None) as served, served.client() as client:
        problem_of(await client.put(path_of(), json=result(3)), 404, "not-found")


def test_ids_may_be_numbers_and_what_is_wrong_is_named() -> None:
    made = judge0_callback_url(KEY, "http://x/", submission_id=1, user_id=UUID(int=7), problem_id="p")
    callback = read_signed(KEY, made.removeprefix("http://x/v1/callbacks/judge0/"))
    assert (callback.submission_id, callback.user_id) == ("1", str(UUID(int=7)))
    with pytest.raises(CallbackUnsignable, match="`user_id`"):
        judge0_callback_url(KEY, "http://x", submission_id=1, user_id="", problem_id="p")
    with pytest.raises(CallbackUnsignable, match="32 characters"):
        judge0_callback_url("short", "http://x", submission_id=1, user_id="u", problem_id="p")
    with pytest.raises(BadSignature):
        read_signed("y" * 64, made.rpartition("/")[2])


async def test_a_command_makes_the_url(world: World, log: KafkaConnection, judge0: httpx.AsyncClient) -> None:
    words = ("--submission", "s-9", "--user", "ada", "--problem", "p", "--submitted-at", "2026-01-01T00:00:05Z")
    environment = {"SOLVE_GATEWAY_CALLBACK_KEY": KEY, "SOLVE_GATEWAY_URL": "http://gateway"}
    made = await solve_producer(world, "callback-url", "judge0", *words, **environment)
    assert (made.status, made.stderr) == (0, "")
    answer = await judge0.put(made.stdout.strip().removeprefix("http://gateway"), json=result(3))
    found = json.loads((await record_at(log, answer.json())).value)
    assert (found["submission_id"], found["submitted_at"]) == ("s-9", "2026-01-01T00:00:05Z")
    for missing in environment:
        ended = await solve_producer(world, "callback-url", "judge0", *words, **(environment | {missing: ""}))
        assert ended.status != 0
        assert missing in ended.stderr


async def test_a_callback_waits_for_kafka(breakable: World, stack: Stack, tmp_path: Path) -> None:
    """Judge0 hangs up after 5 seconds and tries again; a 503 would be the end of it."""
    async with (
        gateway(breakable.connection, tmp_path, gateway_delivery_timeout_s=60) as served,
        served.client() as client,
    ):
        await asyncio.to_thread(stack.kafka.kill)
        waiting = asyncio.create_task(client.put(path_of(), json=result(3)))
        await asyncio.to_thread(stack.kafka.start)
        assert (await waiting).status_code == 200


async def test_a_callback_has_room_while_judges_load_what_they_have(log: KafkaConnection, tmp_path: Path) -> None:
    go_on, port = asyncio.Event(), free_port()

    async def body() -> AsyncIterator[bytes]:
        yield b"\n"
        await go_on.wait()

    most = 1024 * 1024
    async with (
        gateway(log, tmp_path, gateway_in_flight_bytes=most, gateway_metrics_port=port) as served,
        served.judge() as judge,
        served.client() as client,
    ):
        loading = asyncio.create_task(judge.post("/v1/events", content=body(), headers=NDJSON))
        await until_metric(port, "solve_gateway_in_flight_bytes", most)
        assert (await client.put(path_of(), json=result(3))).status_code == 200
        go_on.set()
        assert (await loading).status_code == 200


class _Judge0(BaseHTTPRequestHandler):
    """The part of Judge0's API that a sweep asks: `submissions/batch`, with what it has under each token."""

    results: dict[str, int]
    seen: list[tuple[str, str | None]]
    refusals: list[int]  # answered first
    batch_max = 20
    answers_as: dict[str, str]  # the token in the answer, where it is another
    without_expected_output: set[str]

    def submission(self, token: str) -> dict[str, Any] | None:
        if token not in self.results:
            return None
        expected = None if token in self.without_expected_output else "Mwo="
        shown = self.answers_as.get(token, token)
        return {"token": shown, "status": {"id": self.results[token]}, "expected_output": expected}

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.seen.append((parts.path, self.headers["X-Auth-Token"]))
        tokens = query["tokens"][0].split(",")
        assert query["fields"] == ["token,status,expected_output"]
        status = 200 if self.headers["X-Auth-Token"] == "secret" else 401
        status = 400 if len(tokens) > self.batch_max else self.refusals.pop(0) if self.refusals else status
        body = json.dumps({"submissions": [self.submission(one) for one in tokens]}).encode()
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def judge0_with(results: dict[str, int], **changes: Any) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    fields: dict[str, Any] = {
        "results": results, "seen": [], "refusals": [], "answers_as": {}, "without_expected_output": set()
    }  # fmt: skip
    handler = type("Handler", (_Judge0,), fields | changes)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", handler.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


async def test_a_sweep_publishes_what_callbacks_did_not_bring(world: World, tmp_path: Path) -> None:
    file, users = tmp_path / "handed-out.ndjson", ("ada", "bob")
    lines, results = [], {}
    for number in range(45):
        token = f"t-{number}"
        url = judge0_callback_url(
            KEY,
            "http://gateway",
            submission_id=number,
            user_id=users[number % 2],
            problem_id=number,
            asked_at=at(number),
        )
        lines.append(json.dumps({"token": token, "callback_url": url}))
        results[token] = 3 if number < 40 else (1, 2, 13, 4, 3)[number - 40]
    del results["t-0"]
    file.write_text("\n".join([*lines, "", "{}", '{"token":"a,b","callback_url":"x"}', lines[1].replace('"}', 'x"}')]))
    async with SolveProducer(world.connection) as producer:
        for user in users:
            await producer.user_registered(user_id=user, username=user, registered_at=at(0))
    with judge0_with(results) as (url, seen):
        environment = {"SOLVE_GATEWAY_CALLBACK_KEY": KEY, "JUDGE0_URL": url, "JUDGE0_TOKEN": "secret"}
        for _ in range(2):  # a second one is harmless
            ended = await solve_producer(world, "reconcile", "judge0", str(file), "--json", **environment)
            assert ended.status == 1, ended.stderr
            assert json.loads(ended.stdout) == {
                "published": 41, "waiting": 2, "failed_in_judge0": 1, "unknown": 1, "unknown_status": 0,
                "not_compared": 0, "bad_lines": 3,
            }  # fmt: skip
            assert f"{file}:1: Judge0 has no such submission" in ended.stderr
            assert f"{file}:47: " in ended.stderr
        assert set(seen) == {("/api/submissions/batch", "secret")}
        ended = await solve_producer(world, "reconcile", "judge0", str(file), **(environment | {"JUDGE0_TOKEN": "x"}))
        assert (ended.status, ended.stdout) == (1, "")
        assert "Judge0 answers 401; check JUDGE0_URL and JUDGE0_TOKEN" in ended.stderr
    ended = await solve_producer(world, "reconcile", "judge0", str(file), **environment)
    assert "Judge0 does not answer" in ended.stderr
    assert await counts(world) == {"ada": 20, "bob": 20}


async def swept_with(world: World, folder: Path, tokens: int, *words: str, **changes: Any) -> Ended:
    """A sweep of submissions that were accepted, unless Judge0 is changed."""
    file = folder / "handed-out.ndjson"
    named = [f"t-{number}" for number in range(tokens)]
    file.write_text(
        "".join(json.dumps({"token": one, "callback_url": path_of(submission_id=one)}) + "\n" for one in named)
    )
    with judge0_with(dict.fromkeys(named, 3) | changes.pop("results", {}), **changes) as (url, _):
        environment = {"SOLVE_GATEWAY_CALLBACK_KEY": KEY, "JUDGE0_URL": url, "JUDGE0_TOKEN": "secret"}
        return await solve_producer(world, "reconcile", "judge0", str(file), "--json", *words, **environment)


async def test_a_sweep_goes_on_past_what_brings_no_verdict_and_names_it(world: World, tmp_path: Path) -> None:
    ended = await swept_with(
        world, tmp_path, 25, results={"t-2": 15}, without_expected_output={"t-3"}, refusals=[429, 503, 500]
    )
    assert ended.status == 1, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["published"], found["unknown_status"], found["not_compared"]) == (23, 1, 1)
    assert ":3: `status.id` is 15" in ended.stderr
    assert ":4: it has no `expected_output`" in ended.stderr
    assert {json.loads(one.value)["submission_id"] for one in await records_in(world.connection)} == {
        f"t-{number}" for number in range(25) if number not in (2, 3)
    }


async def test_a_sweep_asks_no_longer_than_judge0_may_need(world: World, tmp_path: Path) -> None:
    ended = await swept_with(world, tmp_path, 1, refusals=[503] * 20)
    assert (ended.status, ended.stdout) == (1, "")
    assert "Judge0 answers 503" in ended.stderr


async def test_a_smaller_batch_is_an_option(world: World, tmp_path: Path) -> None:
    ended = await swept_with(world, tmp_path, 7, batch_max=3)
    assert ended.status == 1
    assert "--batch" in ended.stderr
    ended = await swept_with(world, tmp_path, 7, "--batch", "3", batch_max=3)
    assert (ended.status, json.loads(ended.stdout)["published"]) == (0, 7), ended.stderr


async def test_no_answer_for_another_submission_is_published(world: World, tmp_path: Path) -> None:
    ended = await swept_with(world, tmp_path, 2, answers_as={"t-0": "t-1", "t-1": "t-0"})
    assert (ended.status, ended.stdout) == (1, "")
    assert "for other submissions" in ended.stderr
    assert await records_in(world.connection) == []


async def test_a_callback_and_the_sweep_give_one_event(world: World, tmp_path: Path) -> None:
    async with gateway(world.connection, tmp_path) as served, served.client() as client:
        assert (await client.put(path_of(), json=result(3))).status_code == 200
    file = tmp_path / "handed-out.ndjson"
    file.write_text(json.dumps({"token": "t", "callback_url": path_of()}))
    with judge0_with({"t": 3}) as (url, _):
        environment = {"SOLVE_GATEWAY_CALLBACK_KEY": KEY, "JUDGE0_URL": url, "JUDGE0_TOKEN": "secret"}
        ended = await solve_producer(world, "reconcile", "judge0", str(file), **environment)
        assert ended.status == 0, ended.stderr

    async def both() -> list[str]:
        return [one.headers["ce_id"] for one in await records_in(world.connection)]

    ids = await until(both)
    assert len(ids) == 2
    assert len(set(ids)) == 1
