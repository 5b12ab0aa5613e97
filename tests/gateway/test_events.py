"""`POST /v1/events`: each form of CloudEvents over HTTP, what is refused by what name, and what each event became."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.ports import free_port
from solve_gateway.bodies import elements
from solve_gateway.messages import EVENT_MAX_BYTES
from solve_gateway.routes import events as events_route
from solve_gateway.routes.events import _each, _read
from solve_producer.client import SolveProducer
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.record import encode, encode_line
from tests.api.served import problem_of
from tests.events import registered, revoked, solved
from tests.gateway.reading import record_at, records_in
from tests.gateway.serving import JSON, NDJSON, Served, gateway, until_metric

EVENT = solved("s-1", "ada", "two-sum", 5, language="c++")
DATA = json.loads(EVENT.model_dump_json(exclude_none=True))
ENVELOPE = {"specversion": "1.0", "id": "1", "source": "/judges/α", "type": "submission.solved.v1"}
BINARY = {
    "Content-Type": "application/json; charset=utf-8",
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/judges/%CE%B1",
    "ce-type": "submission.solved.v1",
}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json; charset=UTF-8"}
TYPED = encode_line(EVENT).encode()

Judge = httpx.AsyncClient


async def post(judge: Judge, content: Any, headers: dict[str, str]) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await judge.post("/v1/events", content=body, headers=headers)


FORMS: dict[str, tuple[Any, dict[str, str], str]] = {
    "binary": (DATA, BINARY, "/judges/α"),
    "binary, quoted as in earlier versions": (DATA, BINARY | {"ce-source": '"/judges/\\"x"'}, '/judges/"x'),
    "binary, the percent sign once": (DATA, BINARY | {"ce-source": "100%2525"}, "100%25"),
    "structured": (ENVELOPE | {"data": DATA}, STRUCTURED, "/judges/α"),
    "structured, in base64": (
        ENVELOPE | {"data_base64": b64encode(json.dumps(DATA).encode()).decode()},
        STRUCTURED,
        "/judges/α",
    ),
    "plain": (TYPED, JSON, "solve-counts"),
    "plain, a CloudEvent by its fields": (ENVELOPE | {"data": DATA}, JSON, "/judges/α"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_makes_the_record_that_the_client_would_send(
    judge: Judge, log: KafkaConnection, form: str
) -> None:
    content, headers, source = FORMS[form]
    answer = await post(judge, content, headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["topic"] == log.topic
    found, wanted = await record_at(log, answer.json()), encode(EVENT, source)
    assert (found.key, found.value) == (wanted.key.decode(), wanted.value)
    assert found.headers == {name: content.decode() for name, content in wanted.headers}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ([ENVELOPE | {"data": DATA}] * 3, BATCH),
        ([DATA | {"type": "submission.solved.v1"}] * 3, JSON),
        (b"\xef\xbb\xbf" + TYPED + b"\r\n\n" + TYPED + b"\n  \n" + TYPED, NDJSON),
        (b'[{"specversion":"1.0"}' + b" , 5,\n" + TYPED + b"]\n", JSON | {"x-refused": "2"}),
    ],
)
async def test_many_events_are_answered_one_by_one(
    judge: Judge, log: KafkaConnection, content: Any, headers: dict[str, str]
) -> None:
    refused = int(headers.get("x-refused", 0))
    answer = await post(judge, content, headers)
    said = answer.json()
    assert (answer.status_code, said["delivered"], said["failed"]) == (207 if refused else 200, 3 - refused, refused)
    assert [one["index"] for one in said["results"]] == [0, 1, 2]
    last = said["results"][2]
    assert last["status"] == 200
    assert (await record_at(log, last)).value == encode(EVENT).value


async def test_an_empty_batch_is_one(judge: Judge) -> None:
    answer = await post(judge, [], BATCH)
    assert (answer.status_code, answer.json()["results"]) == (200, [])
    assert (await post(judge, b"\n", NDJSON)).json()["results"] == []


async def test_events_of_a_user_are_in_the_log_as_they_came(judge: Judge, log: KafkaConnection) -> None:
    events = [
        (solved if number % 2 else revoked)(f"o-{number}", user, "p", number)
        for number in range(600)
        for user in ("in-order-1", "in-order-2")
    ]
    answer = await post(judge, b"\n".join(encode_line(event).encode() for event in events), NDJSON)
    assert (answer.status_code, answer.json()["delivered"]) == (200, 1_200)
    for user in ("in-order-1", "in-order-2"):
        found = [json.loads(one.value)["submission_id"] for one in await records_in(log) if one.key == user]
        assert found == [f"o-{number}" for number in range(600)]


WRONG: dict[str, tuple[Any, dict[str, str], str, str | None]] = {
    "a missing field": ({k: v for k, v in DATA.items() if k != "judged_at"}, BINARY, "invalid-event", "judged_at"),
    "an id that is a number": (DATA | {"user_id": 7, "type": "submission.solved.v1"}, JSON, "invalid-event", "user_id"),
    "no JSON": (b"{", JSON, "not-json", None),
    "an array without an end": (b"[" + TYPED, JSON, "not-json", None),
    "an array that ends as an object": (b"[" + TYPED + b"}", JSON, "not-json", None),
    "an array of nothing and something": (b"[," + TYPED + b"]", JSON, "not-json", None),
    "a comma too many": (b"[" + TYPED + b",]", JSON, "not-json", None),
    "an element that is none": (b"[" + TYPED[:-1] + b"]]", JSON, "not-json", None),
    "no UTF-8": (b'{"type":"\xff"}', JSON, "not-json", None),
    "deep": (b"[" * 30_000, JSON, "not-json", None),
    "an array that goes on": (b"[] []", BATCH, "not-json", None),
    "an object as a batch": (ENVELOPE | {"data": DATA}, BATCH, "not-json", None),
    "a list as one": ([ENVELOPE], STRUCTURED, "not-json", None),
    "no type": (DATA, JSON, "invalid-event", "type"),
    "a type that is null": (DATA | {"type": None}, JSON, "invalid-event", "type"),
    "no type in a line": (DATA, NDJSON, "invalid-event", "type"),
    "no type in an array": ([DATA], JSON, "invalid-event", "type"),
    "a row of Debezium": ({"op": "c", "after": {}}, JSON, "foreign-format", None),
    "a type that is missing in headers": (DATA, JSON | {"ce-id": "1", "ce-source": "/x"}, "invalid-event", "ce-type"),
    "one header of an envelope": (DATA, JSON | {"CE-Subject": "x"}, "invalid-event", "ce-type"),
    "an unknown type": (DATA | {"type": "x"}, JSON, "unknown-type", "type"),
    "an unknown type in a header": (DATA, BINARY | {"ce-type": "x"}, "unknown-type", None),
    "a type that is contradicted": (DATA, BINARY | {"ce-status": "rejected"}, "type-mismatch", "ce_status"),
    "two fields of one name": (b'{"accepted":false,' + TYPED[1:-1] + b',"accepted":true}', JSON, "type-mismatch", None),
    "the same within an array": (
        b'[{"accepted":false,' + TYPED[1:-1] + b',"accepted":true}]', JSON, "type-mismatch", None,
    ),
    "the same in a structured event": (
        b'{"specversion":"1.0","id":"1","source":"x","type":"submission.solved.v1","data":{"accepted":false,'
        + json.dumps(DATA).encode()[1:-1] + b',"accepted":true}}', STRUCTURED, "type-mismatch", None,
    ),
    "a time to come": (DATA | {"judged_at": "2999-01-01T00:00:00Z"}, BINARY, "time-out-of-range", "judged_at"),
    "no source": (DATA, {k: v for k, v in BINARY.items() if k != "ce-source"}, "invalid-event", "ce-source"),
    "an empty id": (DATA, BINARY | {"ce-id": ""}, "invalid-event", "ce-id"),
    "another version": (DATA, BINARY | {"ce-specversion": "0.3"}, "invalid-event", "ce-specversion"),
    "a source of bytes": (DATA, BINARY | {"ce-source": "%FF"}, "invalid-event", "ce-source"),
    "a source that steers": (DATA, BINARY | {"ce-source": "%1B[2J"}, "invalid-event", "ce-source"),
    "a source that is long": (ENVELOPE | {"source": "x" * 201, "data": DATA}, STRUCTURED, "invalid-event", "source"),
    "an envelope without data": (ENVELOPE, STRUCTURED, "invalid-event", "data"),
    "an id that is none": (ENVELOPE | {"id": 1, "data": DATA}, STRUCTURED, "invalid-event", "id"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_no_event_is_refused_by_the_name_of_its_field(judge: Judge, case: str) -> None:
    content, headers, kind, field = WRONG[case]
    body = problem_of(await post(judge, content, headers), 400, kind)
    found = body["results"][0].get("field") if "results" in body else body.get("field")
    assert field is None or found == field, body


async def test_a_header_that_is_there_twice_is_refused(judge: Judge) -> None:
    twice = [*BINARY.items(), ("ce-type", "submission.revoked.v1")]
    answer = await judge.post("/v1/events", content=json.dumps(DATA), headers=twice)
    assert problem_of(answer, 400, "invalid-event")["field"] == "ce-type"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml", "ce-type": "submission.solved.v1"},
        {"Content-Type": "application/json; charset=utf-16"},
        JSON | {"Content-Encoding": "gzip"},
    ],
)
async def test_another_media_type_is_refused(judge: Judge, headers: dict[str, str]) -> None:
    problem_of(await post(judge, TYPED, headers), 415, "media-type-unknown")


async def test_results_say_which_events_to_send_again(judge: Judge, served: Served) -> None:
    bad = TYPED.replace(b"judged_at", b"judged")
    answer = await post(judge, b"\n".join([TYPED, bad, b"x" * 70_000, TYPED]), NDJSON)
    said = answer.json()
    assert (answer.status_code, said["delivered"], said["failed"]) == (207, 2, 2)
    assert [one["status"] for one in said["results"]] == [200, 400, 413, 200]
    assert said["results"][1]["field"] == "judged_at"
    assert said["results"][2]["reason"] == "too-large"
    assert "retry-after" not in answer.headers


async def test_a_token_writes_as_its_own_sources_alone(served: Served, log: KafkaConnection) -> None:
    async with served.judge("of-two", "/judges/a", "/judges/b") as judge:
        answer = await post(judge, TYPED, JSON)
        assert (await record_at(log, answer.json())).headers["ce_source"] == "/judges/a"
        answer = await post(judge, DATA, BINARY | {"ce-source": "/judges/b"})
        assert (await record_at(log, answer.json())).headers["ce_source"] == "/judges/b"
        body = problem_of(await post(judge, DATA, BINARY), 403, "source-not-allowed")
        assert body["field"] == "ce-source"
        events = [ENVELOPE | {"data": DATA, "source": one} for one in ("/judges/a", "/judges/c")]
        said = (await post(judge, events, BATCH)).json()
        assert [one["status"] for one in said["results"]] == [200, 403]
        # also where only the fields of a line make it a CloudEvent
        body = problem_of(await post(judge, ENVELOPE | {"data": DATA}, NDJSON), 403, "source-not-allowed")
        assert body["results"][0]["field"] == "source"


async def test_who_has_no_token_gets_nothing_read(served: Served) -> None:
    async with served.client() as anybody:
        for headers in ({}, {"Authorization": "Bearer scg_x"}, {"Authorization": "Basic eA=="}, {"Authorization": "x"}):
            answer = await post(anybody, TYPED, JSON | headers)
            problem_of(answer, 401, "token-unknown")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_request_that_is_too_large_is_not_read(judge: Judge, log: KafkaConnection, served: Served) -> None:
    problem_of(await post(judge, b" " * (8 * 1024 * 1024 + 1), JSON), 413, "body-too-large")
    problem_of(await post(judge, b" " * 70_000, BINARY), 413, "body-too-large")
    body = problem_of(await post(judge, [ENVELOPE | {"data": DATA}] * 2_001, BATCH), 413, "too-many-events")
    assert "results" not in body
    body = problem_of(await post(judge, b"\n".join([TYPED] * 2_001), NDJSON), 413, "too-many-events")
    assert (body["delivered"], len(body["results"])) == (2_000, 2_000)


@pytest.mark.parametrize(
    "element", [b"[" + b"[]," * 50_000 + b"[]]", b'"' + b'\\"' * 50_000 + b'"', b"{" + b" " * 70_000 + b"}"]
)
async def test_an_element_that_is_too_large_is_refused_alone(judge: Judge, element: bytes) -> None:
    answer = await post(
        judge, b"\xef\xbb\xbf [" + b" " * 70_000 + TYPED + b" ," + element + b"," + TYPED + b"\n]", JSON
    )
    assert [one["status"] for one in answer.json()["results"]] == [200, 413, 200], answer.text


async def test_marks_within_strings_are_none_of_the_array(judge: Judge, log: KafkaConnection) -> None:
    named = registered("u-marks", username='a],[{"\\"}')
    line = encode_line(named).encode()
    answer = await post(judge, b"[" + line + b"," + line + b"]", JSON)
    assert answer.status_code == 200, answer.text
    assert (await record_at(log, answer.json()["results"][1])).value == encode(named).value


async def test_other_requests_are_let_in_while_one_is_read() -> None:
    """Neither the scan of an array, nor events that wait for nobody because they are refused, stop the gateway."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    (one,) = [text async for text in elements(b"[[" + b"[]," * 100_000 + b"[]]]")]
    assert len(one) == EVENT_MAX_BYTES + 1
    assert turns > 100
    turns = 0
    many = [text async for text in _read(_each([b"{}"] * 10_000), len)]  # type: ignore[arg-type]
    assert len(many) == 10_000
    assert turns > 90
    others.cancel()


async def test_an_array_is_not_read_beyond_its_most_events(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    taken = 0

    async def counted(body: bytes) -> AsyncIterator[bytes]:
        nonlocal taken
        async for one in elements(body):
            taken += 1
            yield one

    monkeypatch.setattr(events_route, "elements", counted)
    body = problem_of(await post(judge, b"[" + b"1," * 100_000 + b"1]", JSON), 413, "too-many-events")
    assert (taken, "results" in body) == (2_001, False)


async def test_lines_are_published_while_they_come(judge: Judge, log: KafkaConnection) -> None:
    before = len(await records_in(log))
    published = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        for number in range(501):
            yield encode_line(registered(f"line-{number}")).encode() + b"\n"
        await published.wait()
        yield encode_line(registered("line-last")).encode()

    sending = asyncio.create_task(judge.post("/v1/events", content=body(), headers=NDJSON))
    while len(await records_in(log)) < before + 500:
        assert not sending.done()
    published.set()
    assert (await sending).json()["delivered"] == 502


async def test_who_sends_too_much_is_asked_to_wait(log: KafkaConnection, tmp_path: Path) -> None:
    async with (
        gateway(log, tmp_path, gateway_events_per_s=10) as served,
        served.judge("fast") as fast,
        served.judge("slow") as slow,
    ):
        assert (await post(fast, b"\n".join([TYPED] * 50), NDJSON)).status_code == 200
        answer = await post(fast, TYPED, JSON)
        problem_of(answer, 429, "too-many-events")
        assert 1 <= int(answer.headers["retry-after"]) <= 4
        assert (await post(slow, TYPED, JSON)).status_code == 200
        async with served.judge("refused") as refused:  # what is no event costs as much
            problem_of(await post(refused, b"[" + b"1," * 50, BATCH), 400, "not-json")
            problem_of(await post(refused, TYPED, JSON), 429, "too-many-events")
        async with served.judge("one-by-one") as refused:
            for _ in range(20):
                answer = await post(refused, b"{" * 70_000, STRUCTURED)
                if answer.status_code == 429:
                    break
            problem_of(answer, 429, "too-many-events")


async def test_a_gateway_that_holds_enough_asks_to_come_again(log: KafkaConnection, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield TYPED + b"\n"
        await go_on.wait()

    most, port = 1024 * 1024, free_port()
    async with (
        gateway(log, tmp_path, gateway_in_flight_bytes=most, gateway_metrics_port=port) as served,
        served.judge() as judge,
    ):
        held = asyncio.create_task(judge.post("/v1/events", content=body(), headers=NDJSON))
        await until_metric(port, "solve_gateway_in_flight_bytes", most)
        answer = await post(judge, TYPED, JSON)
        problem_of(answer, 503, "busy")
        assert answer.headers["retry-after"] == "1"
        go_on.set()
        assert (await held).status_code == 200
        assert (await post(judge, TYPED, JSON)).status_code == 200


async def test_the_client_counts_each_confirmed_record(log: KafkaConnection) -> None:
    places: list[object] = []

    async def records() -> AsyncIterator[Any]:
        for number in range(3):
            yield encode(registered(f"place-{number}"))

    async with SolveProducer(log) as producer:
        assert await producer.publish_records(records(), places.append) == 3
    found = {(one.partition, one.offset): one.key for one in await records_in(log)}
    assert [found[place] for place in places] == ["place-0", "place-1", "place-2"]  # type: ignore[index]
