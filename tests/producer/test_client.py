"""The async client: its life, its misuse, its settings and what it takes."""

import asyncio
import gc
import inspect
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import solve_producer
from solve_producer import (
    InvalidEvent,
    InvalidSettings,
    KafkaConnection,
    ProducerMisused,
    SolveProducer,
    SyncSolveProducer,
)
from tests.events import registered, revoked, solved
from tests.producer.topics import records_of
from tests.world import World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IDS: dict[str, Any] = {"submission_id": "s", "user_id": "u", "problem_id": "p"}


async def test_what_is_sent_is_in_the_topic_as_text_whatever_the_ids_are(world: World) -> None:
    async with SolveProducer(world.connection) as producer:
        await producer.user_registered(user_id=7, username="ada", registered_at=NOW)
        await producer.submission_solved(
            submission_id=2**63, user_id=7, problem_id=UUID(int=9), judged_at=NOW, contest_id=3
        )
        await producer.submission_revoked(submission_id="42", user_id="7", problem_id="p", judged_at=NOW)
        assert await producer.publish([solved("1", "u", "p"), revoked("1", "u", "p", 1)]) == 2
        first, second = [await producer.send(solved("2", "u", "p")) for _ in range(2)]
        assert first
        assert second == (first.partition, first.offset + 1)
    sent = (await records_of(world))[:5]
    assert [record["user_id"] for record in sent] == ["7", "7", "7", "u", "u"]
    assert (sent[1]["submission_id"], sent[1]["problem_id"], sent[1]["contest_id"]) == (
        str(2**63),
        str(UUID(int=9)),
        "3",
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"user_id": True}, "`user_id` must be text of 1 to 200 characters"),
        ({"user_id": None}, "`user_id` must be text of 1 to 200 characters"),
        ({"problem_id": ""}, "`problem_id` must be text of 1 to 200 characters"),
        ({"submission_id": "a\x00"}, "`submission_id` may not contain control characters"),
        ({"judged_at": datetime(2026, 1, 2)}, "`judged_at` needs a time zone, such as 2026-01-02T03:04:05Z"),  # noqa: DTZ001
        ({"judged_at": "2026-01-02T03:04:05Z"}, "`judged_at` must be a datetime with a time zone"),
    ],
)
async def test_an_event_that_cannot_be_is_refused_in_plain_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        await SolveProducer().submission_solved(**{**IDS, "judged_at": NOW, **given})
    assert str(caught.value) == f"submission.solved.v1: {message}"


async def test_start_and_stop_may_be_called_twice_and_it_may_be_started_again(world: World) -> None:
    producer = SolveProducer(world.connection)
    await producer.stop()
    for _ in range(2):
        await producer.start()
        await producer.start()
        await producer.send(registered("u"))
        await producer.stop()
        await producer.stop()
    assert len(await records_of(world)) == 2


async def test_used_before_its_start_or_after_its_stop_it_says_which() -> None:
    producer = SolveProducer(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(ProducerMisused, match=r"is not started; write `async with.*`await producer.start\(\)`"):
        await producer.send(registered("u"))
    async with producer:
        pass
    with pytest.raises(ProducerMisused, match="is stopped; start it again"):
        await producer.send(registered("u"))


async def test_a_call_that_waits_for_the_brokers_learns_that_it_was_stopped() -> None:
    async with SolveProducer(bootstrap_servers="127.0.0.1:1") as producer:
        call = asyncio.create_task(producer.send(registered("u")))
        await asyncio.sleep(0)
    with pytest.raises(ProducerMisused, match="is stopped"):
        await call


def test_used_in_another_event_loop_it_says_so(servers: dict[str, str]) -> None:
    """What `asyncio.run` in each call of a synchronous view comes to."""
    producer = SolveProducer(bootstrap_servers=servers["KAFKA_BOOTSTRAP_SERVERS"], topic="none")
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(producer.start())
        for call in (lambda: producer.send(registered("u")), producer.start, producer.stop, producer.connect):
            with pytest.raises(ProducerMisused, match=r"another event loop.*asyncio\.run.*SyncSolveProducer"):
                second.run(call())
        first.run(producer.stop())


def test_asyncio_run_around_the_whole_of_it_works(servers: dict[str, str], world: World) -> None:
    producer = SolveProducer(world.connection)

    async def view() -> None:
        async with producer:
            await producer.send(registered("u"))

    for _ in range(2):
        asyncio.run(view())


def test_left_open_in_a_loop_that_is_gone_it_starts_anew_in_the_next(world: World) -> None:
    code = (
        "import asyncio, sys; from solve_producer import *; from tests.events import registered\n"
        "producer = SolveProducer(bootstrap_servers=sys.argv[1], topic=sys.argv[2])\n"
        "asyncio.run(producer.start())\n"
        "try: asyncio.run(producer.send(registered('u')))\n"
        "except ProducerMisused as error: print(error)\n"
        "async def again():\n"
        "    await producer.start(); await producer.send(registered('u')); await producer.stop()\n"
        "asyncio.run(again()); print('sent')"
    )
    words = [sys.executable, "-c", code, world.connection.bootstrap_servers, world.connection.topic]
    said = subprocess.check_output(words, text=True, stderr=subprocess.DEVNULL).splitlines()
    assert len(said) == 2
    assert "another event loop" in said[0]
    assert said[1] == "sent"


async def test_many_tasks_share_one_producer(world: World) -> None:
    async with SolveProducer(world.connection) as producer, asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(producer.send(solved(str(number), f"u{number}", "p")))
    assert len(await records_of(world)) == 50


async def test_one_line_at_the_start_names_the_brokers_and_the_topic(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "solve_producer"):
        async with SolveProducer(world.connection) as producer:
            await producer.send(registered("u"))
    assert [record.getMessage() for record in caplog.records if record.name == "solve_producer"] == [
        f"publishing to topic {world.connection.topic} at {world.connection.bootstrap_servers} (PLAINTEXT)"
    ]


def test_arguments_come_before_the_environment_and_nothing_else_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("KAFKA_BOOTSTRAP_SERVERS=dotenv:1\nSOLVE_TOPIC=dotenv\nKAFKA_SASL_USERNAME=dotenv\n")
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "SOLVE_TOPIC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAFKA_TOPIC", "the-judges-own")
    for name in ("TOPIC", "topic", "bootstrap_servers", "sasl_username"):
        monkeypatch.setenv(name, "the-judges-own")

    def settings(**given: Any) -> tuple[str, str, str | None]:
        for made in (SolveProducer(**given)._settings, SyncSolveProducer(**given)._producer._settings):
            found = (made.bootstrap_servers, made.topic, made.sasl_username)
        return found

    assert settings() == ("localhost:9092", "judge-events", None)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "environment:1")
    monkeypatch.setenv("SOLVE_TOPIC", "environment")
    assert settings() == ("environment:1", "environment", None)
    assert settings(topic="argument") == ("environment:1", "argument", None)
    assert settings(bootstrap_servers="argument:1") == ("argument:1", "environment", None)
    assert settings(connection=KafkaConnection(topic="argument")) == ("environment:1", "argument", None)
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_password": "x"}
    assert KafkaConnection.of_program(**login).sasl_username == "dotenv"


@pytest.mark.parametrize("year", [1, 1960, 2050, 9999])
@pytest.mark.parametrize("hours", [-12, 12])
async def test_a_time_that_no_record_can_have_is_refused_before_it_is_sent(year: int, hours: int) -> None:
    month, day = (12, 31) if year == 9999 else (1, 1)
    judged_at = datetime(year, month, day, tzinfo=timezone(timedelta(hours=hours)))
    async with SolveProducer(bootstrap_servers="127.0.0.1:1") as producer:
        with pytest.raises(InvalidEvent, match="`judged_at` must be between 1970 and one day after"):
            await producer.submission_solved(**IDS, judged_at=judged_at)


@pytest.mark.parametrize("given", [[{"user_id": "u"}], [None], "text", registered("u"), 5])
async def test_what_is_no_event_is_named(given: Any) -> None:
    async with SolveProducer(bootstrap_servers="127.0.0.1:1") as producer:
        with pytest.raises(InvalidEvent, match=r"an event is one of UserRegistered|`send` takes one"):
            await producer.publish(given)


@pytest.mark.parametrize("make", [SolveProducer, SyncSolveProducer])
def test_settings_that_cannot_be_are_named_where_it_is_made(make: Callable[..., Any]) -> None:
    for given, message in (
        ({"topic": "a b"}, "topic must be 1 to 249 letters"),
        ({"bootstrap_servers": "host:port"}, "bootstrap_servers must be host:port"),
        ({"connection": KafkaConnection(), "topic": "t"}, "`connection` and `topic` are both given"),
        ({"delivery_timeout_s": 0}, "`delivery_timeout_s` must be"),
        ({"delivery_timeout_s": None}, "`delivery_timeout_s` must be"),
        ({"delivery_timeout_s": float("nan")}, "`delivery_timeout_s` must be"),
        ({"delivery_timeout_s": float("inf")}, "`delivery_timeout_s` must be"),
        ({"source": "a\nb"}, "`source` must be text"),
        ({"connection": 5}, "`connection` must be a KafkaConnection"),
    ):
        with pytest.raises(InvalidSettings, match=message):
            make(**given)


def test_a_secret_in_the_environment_is_not_shown_by_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    with pytest.raises(InvalidSettings, match="needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD") as caught:
        SolveProducer()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["__init__", "submission_solved", "submission_revoked", "user_registered", "send", "publish", "connect"]
)
def test_both_clients_have_the_same_signatures_for_tools_to_read(name: str) -> None:
    of_async, of_sync = (inspect.signature(getattr(one, name)) for one in (SolveProducer, SyncSolveProducer))
    kinds = {parameter.kind for parameter in of_async.parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    if name != "publish":  # the async one takes async iterables too
        assert of_async == of_sync
    assert all(parameter.annotation is not parameter.empty for parameter in [*of_sync.parameters.values()][1:])


def test_the_package_hands_out_what_it_names_and_imports_no_more_than_asked() -> None:
    assert all(getattr(solve_producer, name) for name in solve_producer.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = solve_producer.nothing_here
    code = "import sys, solve_producer; print(solve_producer.__version__, 'aiokafka' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["0.1.0", "False"]


async def test_nothing_is_left_when_it_is_stopped(world: World) -> None:
    before = asyncio.all_tasks()
    for topic in (world.connection.topic, "missing"):
        async with SolveProducer(world.connection.model_copy(update={"topic": topic})) as producer:
            if topic == world.connection.topic:
                await producer.send(registered("u"))
    gc.collect()
    assert asyncio.all_tasks() - before == set()
