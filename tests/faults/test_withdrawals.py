"""Problems withdrawn and restored under load, while projectors are killed: every count is right at the end (I1, I2)."""

import asyncio
import random
import signal

import pytest

from solve_schemas.events import Event
from tests.events import at, registered, restored, solved, withdrawn
from tests.waiting import until
from tests.world import World

AT_ONCE = 20_000
LOAD_A_SECOND = 1_000


async def solve_and_withdraw(world: World, solvers: int, facts: int) -> None:
    """Everybody solves one problem, which is withdrawn and restored by turns, beside other solves and kills."""
    rng = random.Random(solvers)
    for begin in range(0, solvers, AT_ONCE):
        some = range(begin, min(begin + AT_ONCE, solvers))
        await world.publish(
            event for user in some for event in (registered(f"u{user}"), solved(f"s{user}", f"u{user}", "p", user))
        )
    await world.run_once()
    done = asyncio.Event()
    async with asyncio.TaskGroup() as beside:
        beside.create_task(load(world, solvers, done))
        for number in range(facts):
            async with world.process() as process:
                await world.publish([(withdrawn if number % 2 == 0 else restored)("p", 10**7 + number)])
                await until(lambda at=10**7 + number: is_decided(world, at), "the fact")
                left = await recounts_left(world) * rng.random()
                await until(lambda left=left: is_below(world, left), "the recount to be in its middle", poll_s=0.01)
                process.kill()
        done.set()
    async with world.process():
        await world.until_right()
    assert not await is_queued(world)


async def load(world: World, solvers: int, done: asyncio.Event) -> None:
    """Other solves of the same users, as a judge publishes them meanwhile, some of the problem itself."""
    number = 0
    while not done.is_set():
        events: list[Event] = []
        for _ in range(LOAD_A_SECOND // 10):
            number += 1
            user, problem = f"u{number * 7919 % solvers}", "p" if number % 50 == 0 else f"q{number % 40}"
            events.append(solved(f"t{number}", user, problem, 10**6 + number))
        await world.publish(events)
        await asyncio.sleep(0.1)  # the rate of a busy judge


async def is_decided(world: World, seconds: int) -> bool:
    return bool(await world.value("SELECT EXISTS (SELECT FROM problem_facts WHERE decided_at = $1)", at(seconds)))


async def is_queued(world: World) -> bool:
    return bool(await world.value("SELECT EXISTS (SELECT FROM problem_recounts)"))


async def recounts_left(world: World) -> int:
    """Solves after the cursor."""
    return int(
        await world.value(
            "SELECT count(*) FROM problem_recounts JOIN solves USING (problem_id) "
            "WHERE (solves.user_id, solves.problem_id) > (after_user_id, after_problem_id)"
        )
    )


async def is_below(world: World, left: float) -> bool:
    return await recounts_left(world) <= left


async def test_a_problem_withdrawn_and_restored_while_projectors_are_killed_counts_right(world: World) -> None:
    await solve_and_withdraw(world, 3_000, 3)


async def test_a_projector_stopped_inside_a_step_of_a_recount_is_overcome(world: World) -> None:
    """It has locked the queue and users, and waits for a table that changes are left in; SIGSTOP freezes it there."""
    users = [f"u{number}" for number in range(20)]
    await world.publish(event for user in users for event in (registered(user), solved(user, user, "p", 1)))
    await world.run_once()
    async with world.database() as blocker, world.process() as frozen:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE leaderboard_outbox IN SHARE MODE")  # no id, which a recount would wait for
        await world.publish([withdrawn("p", 10**7)])
        await until(lambda: waits_for_a_lock(world), "the step to wait")
        frozen.send_signal(signal.SIGSTOP)
        await blocker.execute("COMMIT")
        async with world.process():
            await world.until_right()
            frozen.send_signal(signal.SIGCONT)
            await world.publish([restored("p", 10**7 + 1)])
            await world.until_right()


async def waits_for_a_lock(world: World) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await world.value(waiting))


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_a_problem_with_very_many_solvers_withdrawn_and_restored_counts_right(world: World) -> None:
    await solve_and_withdraw(world, 100_000, 6)
