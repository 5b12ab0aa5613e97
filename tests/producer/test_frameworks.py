"""The client inside the frameworks that judges are built on, each as a process of its own."""

import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.ports import free_port
from tests.producer.topics import records_of
from tests.waiting import until
from tests.world import World

APPS = "tests.producer.apps"


def environment_of(world: World, **more: str) -> dict[str, str]:
    variables = {"KAFKA_BOOTSTRAP_SERVERS": world.connection.bootstrap_servers, "SOLVE_TOPIC": world.connection.topic}
    return {**os.environ, **variables, **more}


@asynccontextmanager
async def process(log: Path, *words: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs meanwhile; its log is shown where the test fails."""
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, env=env, stdout=output, stderr=output
        )
    try:
        yield running
    except BaseException as error:
        error.add_note((await asyncio.to_thread(log.read_text))[-4_000:])
        raise
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()


def post(url: str) -> tuple[int, str]:
    request = urllib.request.Request(url, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


async def test_django_views_publish_and_the_one_that_cannot_says_what_to_do(world: World) -> None:
    words = [sys.executable, "-W", "error::ResourceWarning", "-m", f"{APPS}.django_app"]
    done = await asyncio.to_thread(
        subprocess.run, words, env=environment_of(world), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    registered, *accepted, shared, own, of_async = done.stdout.splitlines()
    assert (registered, accepted) == ("2", ["published"] * 2)
    assert shared.startswith("ProducerMisused: this producer is not started; write `async with")
    assert (own, of_async) == ("published", "published")
    sent: list[dict[str, Any]] = await records_of(world)
    assert sorted(record["user_id"] for record in sent) == ["1", "1", "100", "2", "2", "99"]


@pytest.mark.parametrize("publish_before_fork", ["", "yes"])
async def test_flask_under_gunicorn_publishes_from_each_worker_that_was_forked(
    world: World, tmp_path: Path, publish_before_fork: str
) -> None:
    port = free_port()
    words = ["gunicorn", "--preload", "--workers", "2", "--threads", "2", "--bind", f"127.0.0.1:{port}"]
    env = environment_of(world, PUBLISH_BEFORE_FORK=publish_before_fork)
    answered: dict[str, set[int]] = {}
    async with process(tmp_path / "log", *words, "--no-control-socket", f"{APPS}.flask_app:app", env=env) as running:

        async def both_workers() -> bool:
            number = sum(map(len, answered.values()))
            calls = [asyncio.to_thread(post, f"http://127.0.0.1:{port}/accepted/7/{number + one}") for one in range(4)]
            for one, (status, said) in enumerate(await asyncio.gather(*calls)):
                assert status in {0, 200}, said
                if status:
                    answered.setdefault(said, set()).add(number + one)
            assert running.returncode is None
            return len(answered) == 2

        await until(both_workers, "an answer of both workers")
    sent = await records_of(world)
    verdicts = {record["submission_id"] for record in sent if "submission_id" in record}
    assert verdicts >= {str(number) for numbers in answered.values() for number in numbers}
    assert len([record for record in sent if "username" in record]) == bool(publish_before_fork)
    assert str(running.pid) not in answered


async def test_flask_starts_without_kafka_and_its_answer_says_what_is_wrong(world: World, tmp_path: Path) -> None:
    code = (
        "from tests.producer.apps import flask_app\n"
        "flask_app.producer = flask_app.SyncSolveProducer(delivery_timeout_s=0.5)\n"
        "answer = flask_app.app.test_client().post('/accepted/1/1')\n"
        "print(answer.status_code, answer.text)"
    )
    env = environment_of(world, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], env=env, capture_output=True, text=True
    )
    assert done.stdout.startswith("503 BrokerUnreachable: no Kafka broker answers at 127.0.0.1:"), done.stderr


async def test_celerys_prefork_workers_publish_each_over_a_connection_of_its_own(world: World, tmp_path: Path) -> None:
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    env = environment_of(world, CELERY_FOLDER=str(tmp_path))
    code = f"from {APPS}.celery_app import judged\nfor number in range(20): judged.delay(number)"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], env=env, check=True)
    words = ["celery", "--app", f"{APPS}.celery_app", "worker", "--pool", "prefork", "--concurrency", "2"]
    words += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    async with process(tmp_path / "log", *words, env=env | {"PUBLISH_BEFORE_FORK": "yes"}) as worker:

        async def all_verdicts() -> bool:
            sent = await records_of(world)
            return len([record for record in sent if "submission_id" in record]) == 20

        await until(all_verdicts, "what the tasks publish")
    sent = await records_of(world)
    assert {record["submission_id"] for record in sent if "submission_id" in record} == set(map(str, range(20)))
    workers = {record["user_id"] for record in sent} - {"preload"}
    assert str(worker.pid) not in workers
    assert any(record["user_id"] == "preload" for record in sent)
