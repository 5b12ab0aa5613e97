"""Compares the whole leaderboard with PostgreSQL, and rebuilds it beside the one in use.

Redis follows a commit by some milliseconds, so a difference counts only if it is still there in a later pass and
PostgreSQL's row has not changed in between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from solve_projector.errors import RebuildRunning
from solve_projector.leaderboard.board import Leaderboard, score
from solve_projector.leaderboard.reconciler import BoardReconciler
from solve_projector.store.counts import Standing
from solve_projector.store.locks import Lock, try_lock, unlock
from solve_projector.store.offsets import next_offsets
from solve_runtime.sql import queries

STANDINGS_SQL = queries("solve_projector.leaderboard", "standings")

CHUNK_USERS = 2_000
PASSES = 4  # over everybody, then three times over who differed

OnPass = Callable[[int, int], None]


@asynccontextmanager
async def one_rebuild(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Holds the lock of rebuilds, of which each builds a whole epoch. Raises RebuildRunning."""
    async with pool.acquire() as connection:
        if not await try_lock(connection, Lock.BOARD_REBUILD):
            raise RebuildRunning(
                "another rebuild of the leaderboard is running; wait for it to end, and read its result"
            )
        try:
            yield
        finally:
            await unlock(connection, Lock.BOARD_REBUILD)


@dataclass(slots=True)
class BoardDifference:
    """How many users have to be added to the leaderboard, changed on it or removed from it."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def _ignore(_done: int, _total: int) -> None:
    """Reports no progress."""


async def compare_board(
    pool: asyncpg.Pool, board: Leaderboard, pause_s: float, on_pass: OnPass = _ignore
) -> BoardDifference:
    """Compares every user with the leaderboard that readers see. Changes nothing.

    Differences are compared again after `pause_s`, a projector's time to repair them; `on_pass` gets the number of
    passes done and their maximum. Raises LeaderboardUnavailable.
    """
    on_pass(0, PASSES)
    differing: dict[str, int] = {}
    async for user_ids in _everybody(pool, board):
        differing |= {user_id: version for user_id, version, _ in await _differences(pool, board, user_ids)}
    found: list[tuple[str, int, str]] = []
    for number in range(1, PASSES):
        if not differing:
            break
        on_pass(number, PASSES)
        await asyncio.sleep(pause_s)
        again = await _differences(pool, board, list(differing))
        found = [one for one in again if differing[one[0]] == one[1]]
        differing = {user_id: version for user_id, version, _ in found}
    on_pass(PASSES, PASSES)
    kinds = [kind for _, _, kind in found]
    return BoardDifference(kinds.count("added"), kinds.count("changed"), kinds.count("removed"))


async def repair_board(
    pool: asyncpg.Pool, board: Leaderboard, topic: str, pause_s: float, on_pass: OnPass = _ignore
) -> None:
    """Syncs the leaderboard, and rebuilds it if it differs even then."""
    reconciler = BoardReconciler(pool, board, topic)
    await reconciler.sync(await next_offsets(pool, topic))
    if await compare_board(pool, board, pause_s, on_pass):
        await reconciler.rebuild_beside()
        await reconciler.sync(await next_offsets(pool, topic))


async def rebuild_board(
    pool: asyncpg.Pool, board: Leaderboard, topic: str, pause_s: float, on_pass: OnPass = _ignore
) -> BoardDifference:
    """Rebuilds the leaderboard in any case; returns what differed before. Raises LeaderboardUnavailable."""
    difference = await compare_board(pool, board, pause_s, on_pass)
    reconciler = BoardReconciler(pool, board, topic)
    await reconciler.rebuild_beside()
    await reconciler.sync(await next_offsets(pool, topic))
    return difference


async def _everybody(pool: asyncpg.Pool, board: Leaderboard) -> AsyncIterator[list[str]]:
    """Ids of everybody who is on the leaderboard or should be; many of them twice."""
    last = ""
    while user_ids := [row[0] for row in await pool.fetch(STANDINGS_SQL["ranked_ids"], last, CHUNK_USERS)]:
        yield user_ids
        last = user_ids[-1]
    async for members in board.member_ids():
        yield members


async def _differences(pool: asyncpg.Pool, board: Leaderboard, user_ids: Sequence[str]) -> list[tuple[str, int, str]]:
    """Id, PostgreSQL's version and kind of each difference."""
    rows: Mapping[str, Standing] = {
        row[0]: Standing(*row) for row in await pool.fetch(STANDINGS_SQL["standings_of"], list(user_ids))
    }
    found = []
    for user_id, shown in zip(user_ids, await board.scores_of(user_ids), strict=True):
        row = rows.get(user_id)
        right = score(row.problems_solved, row.last_solved_at) if row and row.last_solved_at else None
        if shown != right:
            kind = "added" if shown is None else "removed" if right is None else "changed"
            found.append((user_id, row.version if row else 0, kind))
    return found
