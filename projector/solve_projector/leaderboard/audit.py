"""Does the leaderboard show what PostgreSQL says, and how is it made to? Compares all members, and rebuilds beside.

Redis is always some milliseconds behind a commit, so a difference counts only where it is still there when looked at
again and PostgreSQL's row has not changed in between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from solve_projector.errors import LeaderboardUnavailable, RebuildRunning
from solve_projector.leaderboard.board import Leaderboard, score
from solve_projector.leaderboard.reconciler import BoardKeeper
from solve_projector.store.counts import Standing
from solve_projector.store.locks import Lock, try_lock, unlock
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")
STANDINGS_SQL = queries("solve_projector.leaderboard", "standings")

CHUNK_USERS = 2_000
LOOKS = 4  # at everybody, then three times at who differed
STEP_TIMEOUT_S = 60.0

OnLook = Callable[[int, int], None]


@asynccontextmanager
async def one_rebuild(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Nobody else begins one meanwhile: each takes an epoch, and builds a whole board. Raises RebuildRunning."""
    async with pool.acquire() as connection:
        if not await try_lock(connection, Lock.BOARD_REBUILD):
            raise RebuildRunning(
                "another rebuild of the leaderboard is at work; wait for its end, and look at what it found"
            )
        try:
            yield
        finally:
            await unlock(connection, Lock.BOARD_REBUILD)


@dataclass(slots=True)
class BoardDifference:
    """How many members of the board PostgreSQL says otherwise of: to be added, changed, removed."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def _untold(_done: int, _total: int) -> None:
    """For who does not watch."""


async def compare_board(
    pool: asyncpg.Pool, board: Leaderboard, pause_s: float, on_look: OnLook = _untold
) -> BoardDifference:
    """Compares every user with the board that readers see. Changes nothing.

    What differs is looked at again after `pause_s`, a projector's time to mend it; `on_look` hears of each look, and
    how many there are at most. Raises LeaderboardUnavailable.
    """
    on_look(0, LOOKS)
    differing: dict[str, int] = {}
    async for user_ids in _everybody(pool, board):
        differing |= {user_id: version for user_id, version, _ in await _differences(pool, board, user_ids)}
    found: list[tuple[str, int, str]] = []
    for look in range(1, LOOKS):
        if not differing:
            break
        on_look(look, LOOKS)
        await asyncio.sleep(pause_s)
        again = await _differences(pool, board, list(differing))
        found = [one for one in again if differing[one[0]] == one[1]]
        differing = {user_id: version for user_id, version, _ in found}
    on_look(LOOKS, LOOKS)
    kinds = [kind for _, _, kind in found]
    return BoardDifference(kinds.count("added"), kinds.count("changed"), kinds.count("removed"))


async def mend_board(
    pool: asyncpg.Pool, board: Leaderboard, topic: str, pause_s: float, on_look: OnLook = _untold
) -> None:
    """Brings the board into step, and builds it anew where something differs even then."""
    keeper = BoardKeeper(pool, board, topic)
    await _bring_into_step(keeper, pool, topic)
    if await compare_board(pool, board, pause_s, on_look):
        await keeper.rebuild_beside()
        await _bring_into_step(keeper, pool, topic)


async def rebuild_board(
    pool: asyncpg.Pool, board: Leaderboard, topic: str, pause_s: float, on_look: OnLook = _untold
) -> BoardDifference:
    """Builds the board anew from PostgreSQL, whatever it shows; what differed. Raises LeaderboardUnavailable."""
    difference = await compare_board(pool, board, pause_s, on_look)
    keeper = BoardKeeper(pool, board, topic)
    await keeper.rebuild_beside()
    await _bring_into_step(keeper, pool, topic)
    return difference


async def _bring_into_step(keeper: BoardKeeper, pool: asyncpg.Pool, topic: str) -> None:
    rows = await pool.fetch(OFFSETS_SQL["read_offsets"], topic)
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            await keeper.bring_into_step({row["partition"]: row["next_offset"] for row in rows})
    except TimeoutError:
        raise LeaderboardUnavailable("the leaderboard did not come into step within a minute") from None


async def _everybody(pool: asyncpg.Pool, board: Leaderboard) -> AsyncIterator[list[str]]:
    """Who is on the board, or should be; many of them twice."""
    last = ""
    while user_ids := [row[0] for row in await pool.fetch(STANDINGS_SQL["ranked_ids"], last, CHUNK_USERS)]:
        yield user_ids
        last = user_ids[-1]
    async for members in board.member_ids():
        yield members


async def _differences(pool: asyncpg.Pool, board: Leaderboard, user_ids: Sequence[str]) -> list[tuple[str, int, str]]:
    """Id, PostgreSQL's version and kind of each that differs now."""
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
