"""The commands of the producer: exit codes, one-line errors, and nothing sent of a bad file."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from solve_producer.demo.ongoing import publish_live
from solve_producer.demo.simulation import Season, simulate
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.record import encode_line
from tests.events import BEGIN, registered, solved
from tests.waiting import until
from tests.world import World

GOOD = [encode_line(event) for event in (registered("u"), solved("1", "u", "p", 1), solved("2", "u", "q", 2))]
BAD = GOOD[1].replace('"user_id":"u"', '"user_id":""')


def environment(world: World | None) -> dict[str, str]:
    return world.environment if world else {name: value for name, value in os.environ.items() if "KAFKA" not in name}


def command(
    world: World | None, *words: str, given: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "solve_producer", *words],
        input=given,
        capture_output=True,
        env=environment(world),
        cwd=cwd,
        check=False,
    )


async def run(world: World | None, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return await asyncio.to_thread(command, world, *words, given=given)


async def counted(world: World) -> int:
    await world.run_once()
    return await world.value("SELECT coalesce(sum(problems_solved), 0)::int FROM users")


async def test_a_file_is_published_and_twice_is_harmless(world: World, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("\ufeff" + "\n".join([*GOOD, ""]))
    for _ in range(2):
        done = await run(world, "publish", str(file), "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"published": 3, "invalid": 0})
        assert await counted(world) == 2


async def test_nothing_of_a_file_with_a_bad_line_is_sent(world: World, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join([*GOOD, BAD, "not json"]))
    done = await run(world, "publish", str(file))
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert lines[0].startswith(f"{file}:4: invalid-event: `user_id` ")
    assert lines[1].startswith(f"{file}:5: not-json: ")
    assert "nothing was sent" in lines[2]
    assert await counted(world) == 0


async def test_a_line_without_a_type_is_a_solve_as_it_is_on_kafka(world: World, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    untyped = [json.dumps({name: value for name, value in json.loads(line).items() if name != "type"}) for line in GOOD]
    file.write_text("\n".join([GOOD[0], *untyped[1:]]))
    done = await run(world, "publish", str(file))
    assert done.returncode == 0, done.stderr
    assert await counted(world) == 2
    file.write_text(untyped[0])
    done = await run(world, "publish", str(file))
    assert b"`submission_id` is missing; `problem_id` is missing; `judged_at` is missing" in done.stderr


def test_the_commands_read_a_dotenv_and_the_library_does_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1\n")
    done = command(None, "simulate", "-n", "1", cwd=tmp_path)
    assert b"no Kafka broker answers at 127.0.0.1:1; check KAFKA_BOOTSTRAP_SERVERS" in done.stderr


async def test_skip_invalid_sends_the_rest_and_exits_with_the_count(world: World, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join([GOOD[0], BAD, *GOOD[1:], "x" * 100_000]))
    done = await run(world, "publish", "--skip-invalid", "--json", str(file))
    assert (done.returncode, json.loads(done.stdout)) == (1, {"published": 3, "invalid": 2})
    assert b"longer than" in done.stderr
    assert await counted(world) == 2


async def test_standard_input_stops_at_the_first_bad_line_with_everything_before_it_delivered(world: World) -> None:
    done = await run(world, "publish", "-", given="\n".join([*GOOD[:2], BAD, GOOD[2]]).encode())
    assert done.returncode == 1
    assert b"-:3: invalid-event" in done.stderr
    assert b"the 2 events before it were delivered" in done.stderr
    assert await counted(world) == 1


async def test_standard_input_is_sent_as_it_is_read(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "publish", "-", env=environment(world), stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write("\n".join([*GOOD, ""]).encode())
    await process.stdin.drain()
    async with world.running():
        await until(lambda: world.value("SELECT problems_solved = 2 FROM users"), "what was written to be counted")
    process.stdin.close()
    assert await process.wait() == 0


async def test_a_feed_is_imported_and_shown_without_publishing(world: World, tmp_path: Path) -> None:
    feed = tmp_path / "feed.ndjson"
    submission = {"id": "s", "team_id": "t", "problem_id": "a", "time": "2024-01-01T10:05:00Z"}
    judgement = {"id": "j", "submission_id": "s", "judgement_type_id": "AC", "end_time": "2024-01-01T10:06:00-05"}
    objects = [
        {"type": "contest", "id": "c", "data": {"id": "c", "start_time": "2024-01-01T10:00:00Z"}},
        {"type": "teams", "id": "t", "data": {"id": "t", "name": "T"}},
        {"type": "submissions", "id": "s", "data": submission},
        {"type": "judgements", "id": "j", "data": judgement},
    ]
    feed.write_text("\n".join(map(json.dumps, objects)))
    shown = await run(world, "import", "clics", str(feed), "--dry-run")
    assert [json.loads(line)["type"] for line in shown.stdout.splitlines()] == [
        "user.registered.v1",
        "submission.solved.v1",
    ]
    assert await counted(world) == 0
    done = await run(world, "import", "clics", str(feed))
    assert done.returncode == 0, done.stderr
    assert b"published 2 events" in done.stdout
    assert await counted(world) == 1


async def test_a_simulated_season_is_the_same_in_the_log_and_in_a_file(world: World, tmp_path: Path) -> None:
    words = ["simulate", "-n", "500", "--users", "20", "--seed", "4", "--start", "2026-01-01"]
    file = tmp_path / "season.ndjson"
    assert (await run(None, *words, "--output", str(file))).returncode == 0
    season = Season(start=BEGIN, users=20, events=500, seed=4)
    assert file.read_text().splitlines() == [encode_line(event) for event in simulate(season)]
    done = await run(world, *words, "--bad-records", "0.1", "--json")
    assert json.loads(done.stdout)["published"] == 550
    totals = await world.run_once()
    assert totals.dead_letters == 50
    assert await world.differences(list(simulate(season))) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_after_a_season_solves_go_on_until_they_are_stopped(world: World, ending: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "simulate", "-n", "200", "--users", "10", "--live", "100", "--json",
        env=world.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:

        async def goes_on() -> bool:
            await world.run_once()
            return bool(await world.value("SELECT count(*) > 5 FROM verdicts WHERE submission_id LIKE 'live-%'"))

        await until(goes_on, "solves of now")
        process.send_signal(ending)
        said, log = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, log
    await world.run_once()
    in_log = await world.value("SELECT sum(next_offset)::bigint FROM partition_offsets")
    assert json.loads(said)["published"] == in_log
    assert await world.value("SELECT count(*) FROM parked_events WHERE submission_id LIKE 'live-%'") == 0


async def test_a_live_feed_stops_on_request_also_while_the_broker_is_silent() -> None:
    """It takes connections and answers none; a delivery alone would wait for half a minute."""
    stopping, asked = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = KafkaConnection(bootstrap_servers=f"127.0.0.1:{port}")
        going_on = asyncio.create_task(publish_live(connection, [registered("u")], 100, stopping))
        await asked.wait()
        stopping.set()
        assert await until_done(going_on) == 0


async def until_done(task: asyncio.Task[int]) -> int:
    """Its result; long before a delivery is given up."""
    async with asyncio.timeout(20):
        return await task


def test_what_goes_on_has_no_end_for_a_file(tmp_path: Path) -> None:
    words = ["simulate", "-n", "1", "--live", "1", "--output", str(tmp_path / "file")]
    done = subprocess.run([sys.executable, "-m", "solve_producer", *words], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"leave out --live or --output" in done.stderr


def test_errors_are_one_line_and_no_traceback(tmp_path: Path) -> None:
    for words, said in (
        (["publish", str(tmp_path / "none")], "cannot read"),
        (["import", "clics", str(tmp_path / "none")], "cannot read"),
        (["simulate", "-n", "1"], "KAFKA_BOOTSTRAP_SERVERS"),
    ):
        env = environment(None) | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
        done = subprocess.run(
            [sys.executable, "-m", "solve_producer", *words], capture_output=True, env=env, cwd=tmp_path, check=False
        )
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1
        assert len(lines) == 1, lines
        assert lines[0].startswith("solve-producer: ")
        assert said in lines[0]


def test_a_setting_that_cannot_be_is_named_and_a_password_is_not_shown(tmp_path: Path) -> None:
    env = environment(None) | {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "hunter2"}
    done = subprocess.run(
        [sys.executable, "-m", "solve_producer", "simulate"], capture_output=True, env=env, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert b"KAFKA_SASL_USERNAME" in done.stderr
    assert b"hunter2" not in done.stderr


def test_a_judges_service_needs_neither_asyncpg_nor_redis() -> None:
    code = (
        "import sys, solve_producer.client, solve_producer.cli.main;"
        "print(sorted({'asyncpg', 'redis'} & sys.modules.keys()))"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"[]"


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- 2>&-"])
async def test_a_closed_stream_is_not_taken_for_another_one(world: World, closed: str) -> None:
    command = ("sh", "-c", f'exec "$0" -m solve_producer publish - {closed}', sys.executable)
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(world), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert said.decode() == (
        "" if "2>" in closed else "solve-producer: standard input is closed; give the command a file or a pipe\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["import", "clics", "-"],
        ["import", "standings", "-"],
        ["import", "problem-sessions"],
        ["follow", "clics", "http://127.0.0.1:1/api/contests/cup"],
        ["relay", "--once"],
        ["callback-url", "judge0", "--submission", "1", "--user", "u", "--problem", "p"],
        ["tokens", "add", "judge"],
    ],
)
def test_a_source_that_is_no_uri_reference_is_refused_in_one_line(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "solve_producer", *words, "--source", "a b"], capture_output=True, check=False
    )
    assert (done.returncode != 0, done.stdout, done.stderr.count(b"\n")) == (True, b"", 1), done
    assert b'--source "a b" is no URI-reference; write 1 to 200 characters without spaces' in done.stderr
