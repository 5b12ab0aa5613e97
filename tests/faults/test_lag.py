"""Faults made for real: a projector that is frozen, killed or moved back shows within a few snapshots."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from solve_projector.lag.snapshot import Snapshot, open_observer
from solve_projector.lag.status import Assessment, Status, worst
from solve_projector.lag.windows import CommitWindows
from tests.events import registered, solved
from tests.faults.test_processes import flow
from tests.waiting import until
from tests.world import World

PARTITION = 0


class Monitor:
    """Takes snapshots for as long as the test waits, as the exporter does."""

    def __init__(self, snapshot: Callable[[], object]) -> None:
        self._snapshot = snapshot
        self._windows = CommitWindows(5, 50)
        self.seen: list[Status] = []

    async def status(self) -> Status:
        snapshot: Snapshot = await self._snapshot()  # type: ignore[misc]
        assessments: dict[int, Assessment] = dict(self._windows.add(snapshot))
        self.seen.append(worst(list(assessments.values())))
        return self.seen[-1]

    async def until(self, *wanted: Status) -> None:
        async def reached() -> bool:
            return await self.status() in wanted

        await until(reached, " or ".join(status.name for status in wanted))


@asynccontextmanager
async def monitoring(world: World) -> AsyncIterator[Monitor]:
    async with open_observer(world.connection, world.settings) as observer:
        yield Monitor(observer.snapshot)


async def test_a_frozen_projector_stalls_or_stops_and_is_well_again_when_it_goes_on(world: World) -> None:
    async with world.process() as process, monitoring(world) as monitor:
        await world.publish([registered("u"), solved("1", "u", "p", 1)])
        await world.until_right()
        await monitor.until(Status.OK)
        process.send_signal(signal.SIGSTOP)
        await world.publish([solved("2", "u", "q", 2)])
        await monitor.until(Status.STALL, Status.STOP)
        await monitor.until(Status.STOP)  # once its session has timed out
        process.send_signal(signal.SIGCONT)
        await monitor.until(Status.OK)
        await world.until_right()


async def test_a_dead_projector_stops(world: World) -> None:
    async with monitoring(world) as monitor:
        async with world.process() as process:
            await world.publish([registered("u"), solved("1", "u", "p", 1)])
            await world.until_right()
            process.kill()
        await world.publish([solved("2", "u", "q", 2)])
        await monitor.until(Status.STOP)
        async with world.process():
            await monitor.until(Status.OK)


async def test_an_offset_row_moved_back_is_a_rewind_and_one_beyond_the_log_an_error(world: World) -> None:
    await world.publish([registered("u"), *(solved(str(n), "u", f"p{n}", n) for n in range(20))], PARTITION)
    await world.run_once()
    await world.publish([solved("late", "u", "late", 99)], PARTITION)
    moved = "UPDATE partition_offsets SET next_offset = $1, updated_at = now() WHERE partition = 0"
    async with world.database() as connection, monitoring(world) as monitor:
        await monitor.status()
        await connection.execute(moved, 7)
        await monitor.until(Status.REWIND)
        await connection.execute(moved, 1_000)
        await monitor.until(Status.ERR)


async def test_projectors_added_and_removed_under_load_share_the_work_and_lose_nothing(world: World) -> None:
    """Scaling out and in: one, three, two with one killed, one."""
    # not about quick takeovers: on a busy machine, a session of 1.5 s expires again and again
    patient = {"SOLVE_GROUP_SESSION_TIMEOUT_MS": "6000", "SOLVE_STALL_AFTER_S": "60"}
    async with flow(world, 12, at_least=6_000), world.process(**patient) as first, monitoring(world) as monitor:
        await until(lambda: _members(world, 1), "one projector")
        async with world.process(**patient) as second, world.process(**patient) as third:
            await until(lambda: _members(world, 3), "three projectors with a partition each")
            second.kill()
            await until(lambda: _members(world, 2), "the killed one's partitions to be taken over")
            third.terminate()
            assert await third.wait() == 0
        await until(lambda: _members(world, 1), "the first to have all partitions again")
        await world.publish([registered("last"), solved("last", "last", "p")])
        assert first.returncode is None
        await monitor.until(Status.OK)
    async with world.process(**patient):
        await world.until_right()
    assert Status.REWIND not in monitor.seen


async def _members(world: World, number: int) -> bool:
    async with open_observer(world.connection, world.settings) as observer:
        snapshot = await observer.snapshot()
    owners = {one.owner.consumer_id for one in snapshot.partitions if one.owner}
    return len(owners) == number == snapshot.members and all(one.owner for one in snapshot.partitions)
