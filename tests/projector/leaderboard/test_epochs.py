"""Epochs that two processes begin, publish, drain into and judge at once: readers never go back, and nothing is lost.

Each race is made with two reconcilers on one Redis and one PostgreSQL; the first is held at the worst moment.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.leaderboard.reconciler import BoardReconciler
from solve_projector.store.postgresql import open_pool
from tests.events import registered, solved
from tests.world import World


@dataclass
class Held:
    """A leaderboard whose process stops before or after one of its calls, until it is released."""

    board: Leaderboard
    call: str
    after: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.board, name)
        if name != self.call:
            return found

        async def held(*arguments: Any) -> Any:
            result = await found(*arguments) if self.after else None
            self.reached.set()
            await self.released.wait()
            return result if self.after else await found(*arguments)

        return held


class Race:
    """Two processes of one world, and what readers see."""

    def __init__(self, world: World, pool: asyncpg.Pool, board: Leaderboard) -> None:
        self.world, self.pool, self.board = world, pool, board
        self.other = self.process(board)

    def process(self, board: Any) -> BoardReconciler:
        return BoardReconciler(self.pool, board, self.world.connection.topic)

    @asynccontextmanager
    async def held(self, call: str, work: str, *, after: bool = False) -> AsyncIterator[BoardReconciler]:
        """A process that does `work` and is held there during the block; it has ended afterwards."""
        held = Held(self.board, call, after)
        process = self.process(held)
        task = asyncio.create_task(getattr(process, work)())
        waiting = asyncio.create_task(held.reached.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert held.reached.is_set(), task
        yield process
        held.released.set()
        await task

    async def epoch(self) -> int:
        return int(await self.pool.fetchval("SELECT epoch FROM leaderboard_epoch"))

    async def change(self, user_id: str, problems: int) -> None:
        """As a repair, or a retried dead letter: newer, without an offset, in the outbox."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO users (user_id, username, origin, problems_solved, last_solved_at, version)"
                " VALUES ($1, $1, 'site', $2, now(), 2 ^ 52) ON CONFLICT (user_id) DO UPDATE"
                " SET problems_solved = $2, version = users.version + 1",
                user_id,
                problems,
            )
            await connection.execute("INSERT INTO leaderboard_outbox (user_id) VALUES ($1)", user_id)

    async def shown(self) -> dict[str, int]:
        """Problems solved, as readers see them."""
        users = [row[0] for row in await self.pool.fetch("SELECT user_id FROM users")]
        return {user_id: row.problems_solved for user_id, row in (await self.board.rows_of(users)).items()}


@pytest.fixture
async def race(world: World) -> AsyncIterator[Race]:
    """A world with one user who solved one problem, in sync."""
    await world.publish([registered("a"), solved("1", "a", "p")])
    await world.run_once()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(world.settings))
        board = await stack.enter_async_context(open_leaderboard(world.settings, world.connection.topic))
        yield Race(world, pool, board)


async def test_of_two_processes_that_begin_an_epoch_at_once_one_does(race: Race) -> None:
    async with race.held("newest_epoch", "rebuild_beside"):
        await race.other.rebuild_beside()
    assert await race.epoch() == 2
    assert (await race.board.state(2)).current == 2


async def test_a_newer_epoch_is_never_replaced_by_an_older_one(race: Race) -> None:
    async with race.held("publish", "rebuild_beside"):
        await race.change("b", 5)
        await race.other.rebuild_beside()
    state = await race.board.state(await race.epoch())
    assert (state.current, state.members) == (3, 2)
    assert await race.shown() == {"a": 1, "b": 5}


async def test_an_epoch_that_was_started_and_published_meanwhile_is_no_rewind(race: Race) -> None:
    async with race.held("state", "check_once"):
        await race.other.rebuild_beside()
    assert await race.epoch() == 2
    assert await race.other.check_once()


@pytest.mark.parametrize("call", ["state", "write"])
async def test_what_is_drained_beside_a_new_epoch_is_on_it(race: Race, call: str) -> None:
    """A user who is on the board already: their number says nothing of what is lost."""
    if call == "write":
        await race.change("a", 5)
    async with race.held(call, "check_once", after=call == "state"):
        await race.other.rebuild_beside()
        if call == "state":
            await race.change("a", 5)
    await race.other.sync({})
    assert await race.shown() == {"a": 5}


@pytest.mark.parametrize("drained", [False, True])
async def test_a_user_who_is_added_while_members_are_counted_is_not_missing(race: Race, drained: bool) -> None:
    rebuilt: list[str] = []
    async with race.held("state", "check_once", after=True) as process:
        process.monitor.metrics.rebuilt = rebuilt.append  # type: ignore[method-assign]
        await race.change("b", 5)
        if drained:
            await race.other.check_once()
    assert rebuilt == []
    assert await race.shown() == {"a": 1, "b": 5}


async def test_an_epoch_of_a_lost_timeline_is_not_built_upon(race: Race) -> None:
    """PostgreSQL was restored from before an epoch that was never published; its keys hold versions of later times."""
    await race.board.write(2, [(await race.pool.fetchrow("SELECT 'ghost', 9, now(), 2::bigint ^ 52"))])
    await race.other.rebuild_beside()
    assert (await race.board.state(await race.epoch())).members == 1
    redis = Redis.from_url(race.world.settings.redis_url.get_secret_value())
    prefix = f"{{{race.world.settings.leaderboard_prefix}}}"
    assert await redis.keys(f"{prefix}:2:*") == []
    await redis.aclose()
