"""Nothing is tried for ever in vain: what takes too long is cut, what fails is tried after a pause, damage stops."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from solve_projector.errors import DatabaseRefused, DatabaseUnavailable, KafkaUnavailable
from solve_projector.live.process import open_projector, run_projector
from solve_projector.live.sweep import Sweep
from solve_projector.store import counts, postgresql
from solve_projector.store.postgresql import open_pool
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

EVENTS = 60
# each row takes a twentieth of a second, so all of them take three times the limit of a transaction
SLOW = """
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
    CREATE TRIGGER dawdle BEFORE INSERT ON verdicts FOR EACH ROW EXECUTE FUNCTION dawdle();
"""
FAILING = """
    CREATE TABLE fault (sqlstate text);
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE code text := (SELECT sqlstate FROM fault);
        BEGIN
            IF code IS NOT NULL THEN RAISE EXCEPTION 'the server says so' USING ERRCODE = code; END IF;
            RETURN NEW;
        END $$;
    CREATE TRIGGER fail BEFORE INSERT ON verdicts FOR EACH ROW EXECUTE FUNCTION fail();
"""
LIMIT = {"transaction_timeout_ms": 1_000}


async def parked(world: World) -> None:
    await world.publish([solved(str(number), "u", f"p{number}", number) for number in range(EVENTS)])
    await world.run_once()
    assert await world.value("SELECT count(*) FROM parked_events") == EVENTS
    async with world.database() as database:
        await database.execute(SLOW)


async def test_parked_events_that_take_too_long_together_are_applied_in_parts(world: World) -> None:
    await parked(world)
    async with world.database() as database:
        await database.execute("INSERT INTO users (user_id, username) VALUES ('u', 'by the site')")
    async with open_pool(world.settings.model_copy(update=LIMIT)) as pool:
        assert await Sweep(pool, world.connection.topic).all() == 1
    assert await world.value("SELECT problems_solved FROM users") == EVENTS
    assert await world.value("SELECT count(*) FROM parked_events") == 0


async def test_a_registration_whose_parked_events_take_too_long_does_not_hold_its_partition(world: World) -> None:
    await parked(world)
    await world.publish([registered("u"), solved("after", "u", "after", 1)])
    await world.run_once(**LIMIT)
    assert await world.value("SELECT problems_solved FROM users") == EVENTS + 1
    assert await world.differences() == []


async def test_more_parked_events_than_one_transaction_takes_are_left_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.publish([solved(str(number), "u", f"p{number}", number) for number in range(EVENTS)])
    await world.run_once()
    monkeypatch.setattr(counts, "UNPARKED_AT_ONCE", 10)
    async with world.running(sweep_interval_s=60):  # the next sweep by itself would come too late
        await world.publish([registered("u")])
        await world.until_right()
    assert await world.value("SELECT count(*) FROM parked_events") == 0


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "58030"])
async def test_what_fails_again_is_tried_after_ever_longer_pauses_and_is_counted(world: World, sqlstate: str) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with world.database() as database:
        await database.execute(FAILING)
        await database.execute("INSERT INTO fault VALUES ($1)", sqlstate)
        with capture_logs() as logged:
            async with opened(world) as (registry, task):
                await until(lambda: said(len(failures(logged)) >= 5), "five attempts")
                await database.execute("DELETE FROM fault")
                await world.until_right()
                assert not task.done()
    found = failures(logged)
    assert [one["failures"] for one in found[:5]] == [1, 2, 3, 4, 5]
    assert found[4]["pause_s"] > found[0]["pause_s"]
    assert "the server says so" in found[0]["error"]
    counted = registry.get_sample_value("solve_projector_database_errors_total", {"sqlstate": sqlstate})
    assert counted == len(found)


@pytest.mark.parametrize("sqlstate", ["XX001", "XX002"])
async def test_damaged_data_stops_the_projector_with_what_to_do(world: World, sqlstate: str) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with world.database() as database:
        await database.execute(FAILING)
        await database.execute("INSERT INTO fault VALUES ($1)", sqlstate)
    with pytest.raises(DatabaseRefused, match=r"damaged.*restore.*replay"):
        await world.run_once()


async def test_a_projector_that_starts_while_locks_are_held_waits_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCK_TIMEOUT_MS", 100)
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with world.database() as database:
        async with database.transaction():
            await database.execute("LOCK TABLE leaderboard_epoch, partition_offsets IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await world.run_once(start_timeout_s=0)
            with capture_logs() as logged:
                starting = asyncio.create_task(world.run_once())
                await until(lambda: said(any(one["action"] == "unavailable" for one in logged)), "a second attempt")
        await starting
    assert await world.differences() == []


async def test_a_projector_that_starts_without_a_server_gives_up_after_the_time_that_is_set(world: World) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    unreachable = world.connection.model_copy(update={"bootstrap_servers": nowhere})
    for timeout_s in (0, 0.5):
        settings = world.settings.model_copy(update={"start_timeout_s": timeout_s})
        with capture_logs() as logged, pytest.raises(KafkaUnavailable, match=nowhere):
            async with open_projector(unreachable, settings):
                pass
        assert any(one.get("action") == "unavailable" for one in logged) is (timeout_s > 0)


async def test_what_waiting_does_not_cure_ends_the_start_at_once(world: World) -> None:
    url = world.settings.database_url.get_secret_value().rpartition("/")[0] + "/no_such_database"
    settings = world.settings.model_copy(update={"database_url": type(world.settings.database_url)(url)})
    with capture_logs() as logged, pytest.raises(DatabaseUnavailable):
        async with open_projector(world.connection, settings):
            pass
    assert not [one for one in logged if one.get("action") == "unavailable"]


async def test_a_projector_that_waits_at_its_start_stops_on_request(world: World) -> None:
    unreachable = world.connection.model_copy(update={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    settings, stopping = world.settings.model_copy(update={"start_timeout_s": 3_600}), asyncio.Event()

    async def start() -> None:
        async with open_projector(unreachable, settings, stopping=stopping):
            pass

    with capture_logs() as logged:
        starting = asyncio.create_task(start())
        await until(lambda: said(any(one.get("action") == "unavailable" for one in logged)), "a second attempt")
        stopping.set()
        with pytest.raises(KafkaUnavailable):
            await starting


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[tuple[CollectorRegistry, asyncio.Task[Any]]]:
    """A projector in this process, with its metrics."""
    stopping = asyncio.Event()
    async with open_projector(world.connection, world.settings) as projector:
        task = asyncio.create_task(run_projector(projector, stopping))
        yield projector.monitor.metrics.registry, task
        stopping.set()
        await task


def failures(logged: list[Any]) -> list[Any]:
    return [one for one in logged if one.get("action") == "transaction_failed"]


async def said(condition: bool) -> bool:
    return condition


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


async def test_a_run_to_the_end_that_is_stopped_before_says_so(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with world.database() as database:
        await database.execute(FAILING)
        await database.execute("INSERT INTO fault VALUES ('53100')")
    async with world.process("run", "--once") as process:
        await until(lambda: world.value("SELECT count(*) > 0 FROM partition_offsets"), "the process to have started")
        process.terminate()
        out, said = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 1
    assert b"have everything" not in out
    assert b"stopped before everything in the log was applied" in said


SLEEPY = """
    CREATE FUNCTION sleep_long() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.submission_id = 'slow' THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$;
    CREATE TRIGGER sleep_long BEFORE INSERT ON verdicts FOR EACH ROW EXECUTE FUNCTION sleep_long();
"""


async def test_a_record_that_takes_too_long_alone_becomes_a_dead_letter_and_its_neighbours_count(world: World) -> None:
    events = [registered("u"), solved("1", "u", "p", 1), solved("slow", "u", "q", 2), solved("3", "u", "r", 3)]
    await world.publish(events, partition=0)
    async with world.database() as database:
        await database.execute(SLEEPY)
    await world.run_once(**LIMIT)
    assert await world.value("SELECT problems_solved FROM users") == 2
    ((reason, detail, offset),) = await world.fetch('SELECT reason, detail, "offset" FROM dead_letters')
    assert (reason, offset) == ("refused-by-database", 2)
    assert "SOLVE_TRANSACTION_TIMEOUT_MS" in detail
