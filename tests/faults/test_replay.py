"""Counts that stay right when a replay is killed, disconnected, or meets a projector at full speed (I8, I11)."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
import pytest

from solve_producer.demo.simulation import Season, simulate
from solve_projector.replay import repair as repair_module
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.store.locks import Lock, wait_lock
from tests.events import BEGIN, registered, revoked, solved
from tests.faults.test_processes import applied, flow
from tests.stalling import StallingProxy
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=200, problems=100, events=6_000, seed=21)
DRIFT = (
    "UPDATE users SET problems_solved = problems_solved + 3 WHERE problems_solved > 0 AND right(user_id, 1) < '4'",
    "DELETE FROM verdicts WHERE right(submission_id, 1) = '7'",
    "UPDATE verdicts SET judged_at = judged_at + interval '9 years' WHERE right(submission_id, 1) = '3'",
    "DELETE FROM users WHERE right(user_id, 1) = '5'",
)


async def drift(world: World) -> None:
    async with world.database() as connection:
        for wrong in DRIFT:
            changed = await connection.execute(wrong)
            assert not changed.endswith(" 0"), wrong


async def staging_tables(world: World) -> int:
    return int(await world.value("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'solve_replay%'"))


@asynccontextmanager
async def blocked(world: World, lock: str) -> AsyncIterator[None]:
    """Somebody else's lock, at which the replay stops."""
    async with world.database() as connection:
        await connection.execute("BEGIN")
        await connection.execute(lock)
        yield
        await connection.execute("ROLLBACK")


async def waits_for_a_lock(world: World) -> bool:
    return bool(
        await world.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND application_name = 'solve-projector replay'"
        )
    )


WARM_PHASES = {
    "comparing": "LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE",
    "repairing": "SELECT FROM users FOR UPDATE",
    "waiting for the offsets": "LOCK TABLE partition_offsets IN EXCLUSIVE MODE",
}


@pytest.mark.parametrize("phase", WARM_PHASES)
async def test_a_replay_killed_at_any_phase_leaves_nothing_half_done_and_runs_again(world: World, phase: str) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    await drift(world)
    async with blocked(world, WARM_PHASES[phase]), world.process("replay") as process:
        await until(lambda: waits_for_a_lock(world), f"the replay to wait while {phase}")
        process.kill()
    assert (await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)).drifted
    assert await world.differences() == []
    assert await staging_tables(world) == 0


async def test_a_projector_that_starts_drops_what_a_killed_replay_has_read(world: World) -> None:
    await world.publish([registered("a")])
    await world.run_once()
    async with blocked(world, WARM_PHASES["comparing"]), world.process("replay") as process:
        await until(lambda: waits_for_a_lock(world), "the replay to compare")
        process.kill()
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'solve-projector replay'"
    await until(lambda: world.value(gone), "PostgreSQL to notice")
    assert await staging_tables(world) > 0
    async with world.database() as other:
        await wait_lock(other, Lock.REPLAY)  # as one that is at work
        await world.run_once()
        assert await staging_tables(world) > 0
    await world.run_once()
    assert await staging_tables(world) == 0


async def test_readers_end_with_a_killed_replay(world: World) -> None:
    await world.publish(simulate(SEASON))
    async with world.process("replay", "--workers", "2") as process:
        await until(lambda: staging_tables(world), "staging to be there")
        async with blocked(world, "LOCK TABLE solve_replay_verdicts IN ACCESS EXCLUSIVE MODE"):
            await until(lambda: waits_for_a_lock(world), "the readers to wait")
            readers = psutil.Process(process.pid).children()
            assert len(readers) == 2
            process.kill()
            _, alive = await asyncio.to_thread(psutil.wait_procs, readers, timeout=30)
            assert alive == []
    report = await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    assert report.cold
    assert await world.differences() == []


async def test_a_cold_rebuild_killed_before_its_commit_leaves_nothing(world: World) -> None:
    await world.publish(simulate(SEASON))
    async with blocked(world, "SELECT FROM leaderboard_epoch FOR UPDATE"), world.process("replay") as process:
        await until(lambda: waits_for_a_lock(world), "the rebuild to wait")
        process.kill()
    assert await world.value("SELECT count(*) FROM verdicts") == 0
    assert await applied(world) == 0
    report = await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    assert report.cold
    assert await world.differences() == []


async def test_a_lost_connection_is_one_line_and_the_next_replay_finishes(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    await drift(world)
    async with blocked(world, WARM_PHASES["repairing"]), world.process("replay") as process:
        await until(lambda: waits_for_a_lock(world), "the replay to wait")
        await world.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'solve-projector replay'"
        )
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 1
    assert b"Traceback" not in log
    assert b"run the replay again" in log
    await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    assert await world.differences() == []


async def test_a_replay_that_freezes_inside_a_chunk_holds_up_projection_only_for_a_while(world: World) -> None:
    """As Ctrl-Z does. It stops between two messages of a statement, where PostgreSQL's idle timeout does not see it."""
    await world.publish(simulate(SEASON))
    await world.run_once()
    await drift(world)
    proxy = StallingProxy(world.settings.database_url.get_secret_value(), b"-- Makes the verdicts of users")
    async with (
        proxy.serving() as url,
        world.process("replay", DATABASE_URL=url, SOLVE_TRANSACTION_TIMEOUT_MS="2000") as frozen,
    ):
        await until(proxy.stalled.is_set, "the replay to be inside a chunk")
        frozen.send_signal(signal.SIGSTOP)
        await world.publish([registered("later"), solved("later", "later", "p")])
        async with world.process():
            await until(lambda: _projected(world), "projection to go on")
        frozen.send_signal(signal.SIGCONT)
        _, log = await frozen.output  # type: ignore[attr-defined]
    assert frozen.returncode == 1
    assert len(log.decode().strip().splitlines()) == 1, log.decode()
    assert b"SOLVE_TRANSACTION_TIMEOUT_MS" in log
    await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    assert await world.differences() == []


async def test_ctrl_c_leaves_cleanly_and_drops_staging(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with blocked(world, WARM_PHASES["comparing"]), world.process("replay") as process:
        await until(lambda: waits_for_a_lock(world), "the replay to wait")
        process.terminate()
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 130, log
    assert b"Traceback" not in log
    assert await staging_tables(world) == 0


async def test_a_projector_waits_for_a_cold_rebuild_and_goes_on_from_its_end(world: World) -> None:
    await world.publish(simulate(SEASON))
    async with AsyncExitStack() as lock:
        await lock.enter_async_context(blocked(world, "SELECT FROM leaderboard_epoch FOR UPDATE"))
        async with world.process("replay") as rebuild:
            await until(lambda: waits_for_a_lock(world), "the rebuild to be in the middle")
            await world.publish([registered("late"), solved("late", "late", "p")])
            # not as a process: its start would take too much of the time that the rebuild waits for the lock
            run = asyncio.create_task(world.run_once())
            await until(lambda: _awaits_the_rebuild(world), "the projector to look for the rebuild's end")
            await lock.aclose()
            totals = await run
            _, said = await rebuild.output  # type: ignore[attr-defined]
    assert rebuild.returncode == 0, said
    assert totals.records == 2  # nothing was read a second time
    assert await world.differences() == []


async def _awaits_the_rebuild(world: World) -> bool:
    return bool(
        await world.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'solve-projector' AND query LIKE '%locktype%advisory%'"
        )
    )


async def test_a_replay_beside_a_stream_at_full_speed_repairs_all_and_loses_nothing(world: World) -> None:
    """Live projection settles some drifted users before the replay does; those whom the stream leaves alone are its."""
    quiet = {f"quiet {number}" for number in range(4)}  # their counts drift, by the last character
    await world.publish([*simulate(SEASON), *map(registered, quiet), *(solved(user, user, "p") for user in quiet)])
    await world.run_once()
    async with world.process(), flow(world, 31, at_least=12_000):
        await drift(world)
        async with world.process("replay", "--json") as process:
            out, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0, log
    updates = {update["user_id"]: (update["old_count"], update["new_count"]) for update in json.loads(out)["updates"]}
    assert {user: updates.get(user) for user in quiet} == dict.fromkeys(quiet, (4, 1))
    await world.run_once()
    assert await world.differences() == []
    assert await applied(world) == len(world.published)
    assert not (await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)).drifted


async def test_projection_that_waits_for_a_chunk_goes_before_the_next(
    breakable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row lock is no queue. The projector's backend is frozen while it waits, and wakes up after the commit."""
    world = breakable
    users = [f"u{number}" for number in range(4)]
    await world.publish([*(registered(user) for user in users), *(solved(user, user, "p", 1) for user in users)])
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = problems_solved + 1")
    monkeypatch.setattr(repair_module, "CHUNK_USERS", 1)
    plain, at_each_chunk = repair_module.Repair._lock_offsets, list[int]()

    async with asyncio.TaskGroup() as wakers:

        async def lock_offsets(self: repair_module.Repair) -> dict[int, int]:
            reached = await plain(self)
            at_each_chunk.append(sum(reached.values()))
            if (chunk := len(at_each_chunk)) <= len(users):  # not the lock of the offsets at the end
                await world.publish([solved(f"more {chunk}", "u0", f"q{chunk}", 2)])
                backend = await until(lambda: _waiting_backend(world), "the projector to wait for the chunk")
                os.kill(backend, signal.SIGSTOP)
                wakers.create_task(_wake(world, backend, users[chunk - 1]))
            return reached

        monkeypatch.setattr(repair_module.Repair, "_lock_offsets", lock_offsets)
        async with world.process():
            await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
            await world.until_right()
    at_start = 2 * len(users)
    assert at_each_chunk[: len(users)] == list(range(at_start, at_start + len(users)))


async def _waiting_backend(world: World) -> int | None:
    found: int | None = await world.value(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND application_name = 'solve-projector'"
    )
    return found


async def _wake(world: World, backend: int, user_id: str) -> None:
    """Once the chunk's commit can be seen."""
    repaired = (
        "SELECT problems_solved = (SELECT count(*) FROM verdicts WHERE verdicts.user_id = users.user_id AND solved) "
        "FROM users WHERE user_id = $1"
    )
    try:
        await until(lambda: world.value(repaired, user_id), "the chunk to be committed")
    finally:
        os.kill(backend, signal.SIGCONT)


async def test_a_revocation_that_lost_against_a_drifted_verdict_ends_as_the_log_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives between the comparison and the repair, and loses: the drifted verdict is years ahead."""
    await world.publish([registered("a"), registered("z"), solved("1", "a", "p"), solved("2", "z", "p", 5)])
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("UPDATE verdicts SET judged_at = judged_at + interval '9 years'")
    plain = repair_module.Repair.run

    async def run(self: repair_module.Repair, on_progress: object) -> None:
        await world.publish([revoked("2", "z", "p", 60)])
        await until(lambda: _projected(world), "the revocation to be projected")
        assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'z'") == 1
        await plain(self, on_progress)  # type: ignore[arg-type]

    monkeypatch.setattr(repair_module.Repair, "run", run)
    async with world.process():
        await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
        assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'z'") == 0
        await world.until_right()


async def _projected(world: World) -> bool:
    return await applied(world) == len(world.published)
