"""Recounts of withdrawn and restored problems: right whatever is open, overtaken or killed meanwhile (I1, I11)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from structlog.testing import capture_logs

from solve_projector.domain.batch import fold
from solve_projector.live import recounts as live_recounts
from solve_projector.live.recounts import Recounts
from solve_projector.live.sweep import Sweep
from solve_projector.replay import replaying
from solve_projector.replay.history import explain_user
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.settings import ProjectorSettings
from solve_projector.store import problem_recounts
from solve_projector.store.counts import Applied, apply_events
from solve_projector.store.postgresql import DATABASE_ERRORS, pool_options
from solve_projector.store.problem_recounts import next_recounts, recount_step
from solve_schemas.events import Event
from tests.events import registered, restored, revoked, solved, withdrawn
from tests.projector.store.test_counts import TOPIC, Log, expected, tables
from tests.waiting import until
from tests.world import World

USERS = [f"user {number:02}" for number in range(12)]
SOLVES: list[Event] = [
    event
    for number, user in enumerate(USERS)
    for event in (registered(user), solved("1", user, "p", number), solved("2", user, "q", 100 + number))
]


@pytest.fixture
async def log(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Log]:
    """A log whose recounts take several steps."""
    monkeypatch.setattr(problem_recounts, "SOLVES_LOOKED_AT", 5)
    options = pool_options(ProjectorSettings()) | {"dsn": database_url}
    async with asyncpg.create_pool(**options, min_size=0, max_size=8) as pool:
        yield Log(pool)


async def counts(log: Log) -> dict[str, int]:
    return dict(await log.pool.fetch("SELECT user_id, problems_solved FROM users"))


async def is_queued(log: Log) -> bool:
    return bool(await log.pool.fetchval("SELECT EXISTS (SELECT FROM problem_recounts)"))


async def test_a_withdrawn_problem_counts_for_nobody_and_restored_as_before(log: Log) -> None:
    await log.apply(SOLVES)
    before = await tables(log.pool)
    await log.apply([withdrawn("p", 200, "a wrong test")])
    await Recounts(log.pool).all()
    assert set((await counts(log)).values()) == {1}
    assert await tables(log.pool) == expected([*SOLVES, withdrawn("p", 200, "a wrong test")])
    await log.apply([restored("p", 300)])
    await Recounts(log.pool).all()
    assert (await tables(log.pool))[0] == before[0]  # type: ignore[index]
    assert await log.pool.fetchval("SELECT count(DISTINCT user_id) FROM leaderboard_outbox") == len(USERS)
    assert not await is_queued(log)


async def test_a_fact_that_changes_nothing_asks_for_nothing(log: Log) -> None:
    await log.apply(SOLVES)
    await log.apply([restored("p", 1)])
    await log.apply([withdrawn("q", 5), restored("q", 6)])
    assert not await is_queued(log)
    await log.apply([withdrawn("p", 2)])
    await Recounts(log.pool).all()
    await log.apply([withdrawn("p", 9, "again"), restored("p", 1)])
    assert not await is_queued(log)


@pytest.mark.parametrize("fact_first", [False, True])
async def test_a_batch_that_read_the_fact_before_is_waited_for(log: Log, fact_first: bool) -> None:
    """Its solve is counted by the old fact, and comes after the recount if that begins too early."""
    await log.apply(SOLVES)
    await log.apply([withdrawn("r", 1)])
    await Recounts(log.pool).all()
    late: list[Event] = [solved("3", user, "p" if fact_first else "r", 150) for user in (USERS[0], "new")]
    late = [registered("new"), *late]
    fact: Event = withdrawn("p", 200) if fact_first else restored("r", 200)
    async with log.pool.acquire() as held:
        transaction = held.transaction()
        await transaction.start()
        await apply_events(held, fold(log.batch(late)), Applied({}))
        await log.apply([fact], partition=1)
        recounts = Recounts(log.pool)
        assert not await recounts.all(patience_s=0.2)
        await transaction.commit()
    assert await recounts.all()
    assert await tables(log.pool) == expected([*SOLVES, withdrawn("r", 1), *late, fact])


async def test_a_foreign_transaction_that_delays_a_recount_is_named(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_recounts, "SAID_AFTER_S", 0)
    await log.apply(SOLVES)
    async with log.pool.acquire() as foreign, foreign.transaction():
        pid = await foreign.fetchval("SELECT pg_backend_pid() FROM pg_current_xact_id()")
        await log.apply([withdrawn("p", 200)])
        with capture_logs() as lines:
            assert not await Recounts(log.pool).all(patience_s=0.2)
    (line,) = [one for one in lines if one["action"] == "recount_waits"]
    assert f"process {pid} " in line["oldest"]


@pytest.mark.parametrize("steps", range(6))
async def test_a_second_fact_during_a_recount_begins_it_again(log: Log, steps: int) -> None:
    await log.apply(SOLVES)
    await log.apply([withdrawn("p", 200)])
    recounts = Recounts(log.pool)
    for _ in range(steps):
        await recounts.some()
    overtaken = await next_recounts(log.pool)
    await log.apply([restored("p", 300)])
    if overtaken:
        async with log.pool.acquire() as connection:
            assert await recount_step(connection, overtaken.tickets) == 0
    await recounts.all()
    assert await tables(log.pool) == expected([*SOLVES, withdrawn("p", 200), restored("p", 300)])


@pytest.mark.parametrize("steps", range(6))
async def test_what_happens_during_a_recount_is_counted_once(log: Log, steps: int) -> None:
    meanwhile: list[Event] = [
        revoked("1", USERS[-1], "p", 250),  # the last solver's only solve
        solved("4", USERS[0], "p", 260),
        solved("5", USERS[1], "r", 270),
        registered("unknown", 280),
    ]
    parked = solved("6", "unknown", "p", 100)
    await log.apply([*SOLVES, parked])
    await log.apply([withdrawn("p", 200)])
    recounts = Recounts(log.pool)
    for _ in range(steps):
        await recounts.some()
    await log.apply(meanwhile, partition=1)
    await Sweep(log.pool, TOPIC).all()
    await recounts.all()
    assert await tables(log.pool) == expected([*SOLVES, parked, withdrawn("p", 200), *meanwhile])


async def test_a_worker_that_dies_in_a_step_leaves_it_undone(log: Log) -> None:
    await log.apply(SOLVES)
    await log.apply([withdrawn("p", 200)])
    recounts = Recounts(log.pool)
    await recounts.some()
    async with log.pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM users FOR UPDATE")
        step = asyncio.create_task(recounts.some())
        pid = await until(lambda: log.pool.fetchval("SELECT pid FROM pg_locks WHERE NOT granted"), "the step to wait")
        await log.pool.execute("SELECT pg_terminate_backend($1)", pid)
        with suppress(*DATABASE_ERRORS):
            await step
    await Recounts(log.pool).all()
    assert await tables(log.pool) == expected([*SOLVES, withdrawn("p", 200)])


async def test_several_workers_share_one_queue(log: Log) -> None:
    await log.apply(SOLVES)
    await log.apply([withdrawn("p", 200)])
    await log.apply([withdrawn("q", 200)], partition=1)
    await asyncio.gather(*(Recounts(log.pool).all() for _ in range(3)))
    assert set((await counts(log)).values()) == {0}
    assert not await is_queued(log)


async def test_problems_that_are_withdrawn_together_are_looked_for_together(log: Log) -> None:
    await log.apply(SOLVES)
    await log.apply([withdrawn(f"none {number}", 1) for number in range(1_000)] + [withdrawn("p", 1)])
    recounts, steps = Recounts(log.pool), 0
    while await is_queued(log):
        await recounts.some()
        steps += 1
    assert steps <= 2 * (len(SOLVES) // 5 + 1)
    assert set((await counts(log)).values()) == {1}


async def test_a_worker_that_is_ahead_with_one_of_two_problems_takes_no_other_along(log: Log) -> None:
    await log.apply(SOLVES)
    await log.apply([withdrawn("p", 1)])
    await Recounts(log.pool).some()
    await log.apply([withdrawn("q", 1)], partition=1)
    tickets = dict(await log.pool.fetch("SELECT problem_id, ticket FROM problem_recounts"))
    async with log.pool.acquire() as connection:
        await recount_step(connection, tickets)
    await Recounts(log.pool).all()
    assert set((await counts(log)).values()) == {0}


async def test_facts_about_others_do_not_hold_up_a_recount(log: Log) -> None:
    """Each comes while a transaction is open that is older than it, and younger than the first fact."""
    await log.apply(SOLVES)
    await log.apply([withdrawn("p", 1)])
    recounts = Recounts(log.pool)
    await recounts.some()
    async with log.pool.acquire() as older, older.transaction():
        await older.execute("SELECT pg_current_xact_id()")
        await log.apply([withdrawn("q", 1)], partition=1)
        while await recounts.some():
            pass
        assert max((await counts(log)).values()) == 1
        assert await log.pool.fetchval("SELECT array_agg(problem_id) FROM problem_recounts") == ["q"]


async def test_a_run_once_that_waits_for_a_foreign_transaction_can_be_stopped(world: World) -> None:
    await world.publish(SOLVES)
    await world.run_once()
    await world.publish([withdrawn("p", 1)])
    async with world.database() as foreign, foreign.transaction():
        await foreign.execute("SELECT pg_current_xact_id()")
        async with world.process("run", "--once") as process:
            await until(lambda: world.value("SELECT count(*) FROM problem_recounts"), "the fact")
            process.terminate()
            _, said = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 1
        assert b"stopped before everything" in said


async def test_a_run_once_ends_with_every_count_right(world: World) -> None:
    await world.publish([*SOLVES, withdrawn("p", 200)])
    await world.run_once()
    assert await world.differences() == []
    await world.publish([restored("p", 300)])
    await world.run_once()
    assert await world.differences() == []


async def test_users_who_wait_for_a_recount_are_no_drift(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "RECOUNT_PATIENCE_S", 0.1)
    await world.publish(SOLVES)
    await world.run_once()
    async with world.running():
        async with world.database() as foreign, foreign.transaction():
            await foreign.execute("SELECT pg_current_xact_id()")
            await world.publish([withdrawn("p", 200)])
            await until(lambda: world.value("SELECT count(*) FROM problem_recounts"), "the fact")
            for dry_run in (True, False):
                report = await replay(world.connection, world.settings, ReplayOptions(dry_run=dry_run), lambda *_: None)
                assert (report.drifted, report.users_waiting) == (False, len(USERS))
            said = await explain_user(
                world.connection, world.settings, ReplayOptions(dry_run=True), USERS[0], lambda *_: None
            )
            assert (said.drifted, said.waiting, said.solved.problems_solved) == (False, True, 1)
            assert await world.value("SELECT min(problems_solved) FROM users") == 2

        async def is_right() -> bool:
            return await world.differences() == []

        await until(is_right, "the recount")
