"""A producer and the processes that are forked from its own: named errors, and never the parent's connection."""

import asyncio
import subprocess
import sys

import pytest

from tests.producer.topics import records_of
from tests.world import World

ASYNC_PROGRAM = """
import asyncio, os, sys
from solve_producer import ProducerMisused, SolveProducer
from tests.events import registered

def in_child(work):
    if (pid := os.fork()) == 0:
        try:
            work()
        finally:
            sys.stdout.flush()
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

async def main():
    producer = SolveProducer(bootstrap_servers=sys.argv[1], topic=sys.argv[2])
    await producer.start()
    await producer.send(registered("parent-1"))

    def misuse():
        try:
            asyncio.run(producer.send(registered("child")))
        except ProducerMisused as error:
            print(str(error).replace(str(os.getppid()), "PARENT").replace(str(os.getpid()), "CHILD"))

    async def anew():
        await producer.start()
        await producer.send(registered("child"))
        await producer.stop()

    in_child(misuse)
    in_child(lambda: asyncio.run(producer.stop()))
    in_child(lambda: asyncio.run(anew()))
    await producer.send(registered("parent-2"))
    await producer.stop()

asyncio.run(main())
"""


async def test_the_async_client_names_the_fork_and_starts_anew_in_the_child(world: World) -> None:
    words = [sys.executable, "-c", ASYNC_PROGRAM, world.connection.bootstrap_servers, world.connection.topic]
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 1
    assert said[0].startswith(
        "this producer was started in process PARENT before the fork of this one, CHILD; start it"
    )
    sent = await records_of(world)
    assert [record["user_id"] for record in sent] == ["parent-1", "child", "parent-2"]


# Many children that end in every way, each while the parent's connection is open; the parent then has 5 s a call.
SYNC_PROGRAM = """
import gc, os, sys, threading
from solve_producer import SyncSolveProducer
from tests.events import registered

producer = SyncSolveProducer(bootstrap_servers=sys.argv[1], topic=sys.argv[2], delivery_timeout_s=5)
producer.send(registered("parent-1"))

def fork(work):
    if (pid := os.fork()) == 0:
        work()
        sys.exit()  # with all that an interpreter does at its end
    return pid

def sends():
    producer.send(registered("child"))

def closes():
    producer.close()

def collects():
    global producer
    del producer
    gc.collect()

def forks_again():
    assert os.waitpid(fork(sends), 0)[1] == 0

pids = [fork(work) for work in (sends, closes, collects, forks_again, lambda: None) for _ in range(2)]
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
for number in range(2, 5):
    producer.send(registered(f"parent-{number}"))
assert len([one for one in threading.enumerate() if one.name == "solve-producer"]) == 1
"""


@pytest.mark.parametrize("threads_hold_the_lock", [False, True])
async def test_the_sync_client_connects_anew_in_each_child_and_leaves_the_parent_alone(
    world: World, threads_hold_the_lock: bool
) -> None:
    code = SYNC_PROGRAM
    if threads_hold_the_lock:
        code = code.replace("pids = ", "producer._lock.acquire()\npids = ").replace(
            "assert all(", "producer._lock.release()\nassert all("
        )
    words = [sys.executable, "-c", code, world.connection.bootstrap_servers, world.connection.topic]
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    users = sorted(record["user_id"] for record in await records_of(world))
    assert users == ["child"] * 4 + [f"parent-{number}" for number in range(1, 5)]


FORK_IN_C = """
import ctypes, os, sys
from solve_producer import SyncSolveProducer
from tests.events import registered

producer = SyncSolveProducer(bootstrap_servers=sys.argv[1], topic=sys.argv[2], delivery_timeout_s=20)
producer.send(registered("parent-1"))
if (pid := ctypes.PyDLL(None).fork()) == 0:
    producer.send(registered("child"))
    print("child", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
producer.send(registered("parent-2"))
print("parent")
"""


def test_a_fork_that_runs_no_hooks_is_seen_by_its_pid(world: World) -> None:
    """uWSGI forks so, in C; the child opens the client anew instead of waiting for its parent's thread."""
    words = [sys.executable, "-c", FORK_IN_C, world.connection.bootstrap_servers, world.connection.topic]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["child", "parent"]), done.stderr
