"""The synchronous client: from any thread, in any process, with the errors of the async one."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devstack.ports import free_port
from solve_producer import (
    BrokerUnreachable,
    InvalidEvent,
    ProducerMisused,
    SyncSolveProducer,
    TopicMissing,
)
from solve_producer.sync_client import PUBLISHED_AT_ONCE
from solve_schemas.events import Event
from tests.events import registered, solved
from tests.producer.topics import records_of
from tests.world import World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "solve-producer"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert threads() == []


async def in_thread(work):  # type: ignore[no-untyped-def]
    return await asyncio.to_thread(work)


async def test_each_method_returns_once_the_broker_has_the_event(world: World) -> None:
    def view() -> int:
        with SyncSolveProducer(world.connection) as producer:
            assert threads() == [], "opened before its first use"
            producer.user_registered(user_id=7, username="ada", registered_at=NOW)
            producer.submission_solved(submission_id=1, user_id=7, problem_id=3, judged_at=NOW)
            producer.submission_revoked(submission_id=1, user_id=7, problem_id=3, judged_at=NOW, reason="rejudged")
            producer.send(registered("u"))
            producer.connect()
            return producer.publish(solved(str(number), "u", "p") for number in range(20))

    assert await in_thread(view) == 20
    assert [record["user_id"] for record in await records_of(world)] == ["7"] * 3 + ["u"] * 21


async def test_an_iterable_is_taken_in_the_callers_own_thread(world: World) -> None:
    """Django refuses its database to a thread that runs an event loop."""
    taken_in = set()

    def events() -> Iterator[Event]:
        for number in range(PUBLISHED_AT_ONCE + 1):
            taken_in.add(threading.current_thread())
            yield solved(str(number), "u", "p")

    def view() -> int:
        with SyncSolveProducer(world.connection) as producer:
            assert producer.publish(events()) == PUBLISHED_AT_ONCE + 1
            assert taken_in == {threading.current_thread()}
            return producer.publish([])

    assert await in_thread(view) == 0


async def test_many_threads_share_one_producer_and_one_thread(world: World) -> None:
    def view() -> None:
        with SyncSolveProducer(world.connection) as producer, ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda number: producer.send(solved(str(number), f"u{number}", "p")), range(100)))
            assert len(threads()) == 1

    await in_thread(view)
    assert len(await records_of(world)) == 100


def test_closed_twice_it_says_so_when_it_is_used() -> None:
    producer = SyncSolveProducer(bootstrap_servers="127.0.0.1:1")
    producer.close()
    producer.close()
    with pytest.raises(ProducerMisused, match="is closed; make a new SyncSolveProducer"):
        producer.send(registered("u"))


def test_closed_while_a_call_waits_the_call_says_so() -> None:
    producer = SyncSolveProducer(bootstrap_servers=f"127.0.0.1:{free_port()}")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(producer.send, registered("u"))
        while not threads():
            pass
        producer.close()
        with pytest.raises(ProducerMisused, match=r"is closed|is stopped"):
            call.result()


def test_the_errors_are_those_of_the_async_client(servers: dict[str, str]) -> None:
    where = servers["KAFKA_BOOTSTRAP_SERVERS"]
    with SyncSolveProducer(bootstrap_servers=where, topic="missing") as producer:
        with pytest.raises(TopicMissing, match="topic missing does not exist"):
            producer.send(registered("u"))
        with pytest.raises(InvalidEvent, match="`judged_at` needs a time zone"):
            producer.submission_solved(
                submission_id=1,
                user_id=1,
                problem_id=1,
                judged_at=datetime(2026, 1, 2),  # noqa: DTZ001
            )
    with SyncSolveProducer(bootstrap_servers=f"127.0.0.1:{free_port()}", delivery_timeout_s=0.5) as producer:
        with pytest.raises(BrokerUnreachable, match="check KAFKA_BOOTSTRAP_SERVERS"):
            producer.send(registered("u"))
        with pytest.raises(BrokerUnreachable):
            producer.connect()


def test_one_that_nobody_holds_any_more_ends_its_thread() -> None:
    producer = SyncSolveProducer(bootstrap_servers=f"127.0.0.1:{free_port()}", delivery_timeout_s=0.2)
    with pytest.raises(BrokerUnreachable):
        producer.send(registered("u"))
    assert len(threads()) == 1
    del producer
    gc.collect()


async def test_it_works_beside_a_running_event_loop(world: World) -> None:
    """An async view that calls it blocks its loop, and nothing worse."""
    with SyncSolveProducer(world.connection) as producer:
        producer.send(registered("u"))
    assert len(await records_of(world)) == 1


PROGRAM = """
import sys
from solve_producer import SyncSolveProducer
from tests.events import registered
producer = SyncSolveProducer(bootstrap_servers=sys.argv[1], topic=sys.argv[2], delivery_timeout_s=120)
"""


def test_a_process_that_leaves_it_open_ends_by_itself_without_a_word(world: World) -> None:
    words = [sys.executable, "-W", "always", "-c", PROGRAM + "producer.send(registered('u'))"]
    done = subprocess.run(
        [*words, world.connection.bootstrap_servers, world.connection.topic], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_used_after_the_end_of_the_process_began_it_says_that_it_is_closed(world: World) -> None:
    code = (
        "import atexit\n"
        "def late():\n"
        "    try: producer.send(registered('u'))\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "atexit.register(late)\n" + PROGRAM + "producer.send(registered('u'))"
    )
    words = [sys.executable, "-W", "always", "-c", code, world.connection.bootstrap_servers, world.connection.topic]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("ProducerMisused this producer is closed"), done.stdout
    assert done.stderr == ""


def test_ctrl_c_ends_a_call_that_waits(tmp_path: Path) -> None:
    """Long before its timeout, and as KeyboardInterrupt."""
    code = PROGRAM + (
        "try:\n"
        "    import threading, os, signal\n"
        "    main = os.getpid()\n"
        "    def press():\n"
        "        while not any(one.name == 'solve-producer' for one in threading.enumerate()): pass\n"
        "        os.kill(main, signal.SIGINT)\n"
        "    threading.Thread(target=press).start()\n"
        "    producer.send(registered('u'))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
        "    producer.close()\n"
    )
    where = f"127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-c", code, where, "topic"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
