"""Applies parked events of users who exist by now, within a minute while fewer than 60,000 users have some (I5), and
removals to users whom the site wrote after them, and to dead letters of users who are erased (I13), also to those of
an older version, which did not know whom they name.

Needed where two transactions crossed, for users whom the site inserts itself, and for those with more parked events
than fit into the transaction that registers them. A projector looks at LOOKED_AT_ONCE users each time and goes on after
them the next time, so that a large backlog of unknown users costs little; whoever has more waits longer. Each step
takes a bounded number of events in one transaction, half as many if that takes too long, so a crash leaves the rest to
the next sweep. An event that PostgreSQL refuses is found by halving, like a record of a batch, and becomes a dead
letter.
"""

from collections.abc import Sequence

import asyncpg
import structlog

from solve_projector.domain.rule import VerdictKey
from solve_projector.store.counts import UNPARKED_AT_ONCE, apply_removals, unpark_events
from solve_projector.store.erasure import ERASED_AT_ONCE, erase_letters, read_letters
from solve_projector.store.halving import in_halves
from solve_projector.telemetry.metrics import ProjectorMetrics
from solve_runtime.sql import queries
from solve_schemas.rejection import Reason

PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")
USER_FACTS_SQL = queries("solve_projector.store", "user_facts")

LOOKED_AT_ONCE = 20_000
REMOVED_AT_ONCE = 1_000
LETTERS_STEPS = 20  # of about a megabyte each

log = structlog.get_logger()


class Sweep:
    """The sweep of one process, which remembers where it is."""

    def __init__(self, pool: asyncpg.Pool, topic: str, metrics: ProjectorMetrics | None = None) -> None:
        self._pool = pool
        self._topic = topic
        self._metrics = metrics or ProjectorMetrics()
        # the last users it looked at, for parked events and for removals; "" before the first
        self._after = self._removed_after = ""

    async def all(self) -> int:
        """Applies all that can be applied; returns the number of users. Raises asyncpg's errors."""
        await self.all_removals()
        return await self.all_parked()

    async def all_removals(self) -> None:
        """Applies all removals. Raises asyncpg's errors."""
        while await self._read_letters():
            pass
        self._removed_after = ""
        await self._remove()
        while self._removed_after:
            await self._remove()

    async def all_parked(self) -> int:
        """Applies all parked events that can be applied; returns the number of users. Raises asyncpg's errors."""
        self._after = ""
        swept = await self._unpark()
        while self._after:
            swept += await self._unpark()
        return swept

    async def some(self) -> int:
        """Does so for the next users, after the last ones for the first ones again."""
        for _ in range(LETTERS_STEPS):
            if not await self._read_letters():
                break
        await self._remove()
        return await self._unpark()

    async def _unpark(self) -> int:
        looked_at = await self._pool.fetch(PARKED_EVENTS_SQL["next_parked_users"], self._after, LOOKED_AT_ONCE)
        known = [row["user_id"] for row in looked_at if row["known"]]
        while keys := [
            tuple(row) for row in await self._pool.fetch(PARKED_EVENTS_SQL["parked_of_users"], known, UNPARKED_AT_ONCE)
        ]:
            await in_halves(keys, self._apply, self._on_refused, slow_too=True)
        self._after = looked_at[-1]["user_id"] if len(looked_at) == LOOKED_AT_ONCE else ""
        if known:
            self._metrics.swept(len(known))
            log.info("parked events applied", action="swept", users=len(known))
        return len(known)

    async def _remove(self) -> None:
        """Hides removed users whom the site inserted or renamed, and blanks dead letters of erased ones."""
        looked_at = await self._pool.fetch(USER_FACTS_SQL["next_removals"], self._removed_after, LOOKED_AT_ONCE)
        unlike = [row["user_id"] for row in looked_at if row["is_unlike"]]
        for first in range(0, len(unlike), REMOVED_AT_ONCE):
            user_ids = unlike[first : first + REMOVED_AT_ONCE]
            async with self._pool.acquire() as connection, connection.transaction():
                await apply_removals(connection, user_ids)
            log.info("removals applied to users of the site", action="removed", users=len(user_ids))
        named = [row["user_id"] for row in looked_at if row["is_named"]]
        for first in range(0, len(named), REMOVED_AT_ONCE):
            await self._erase_letters(named[first : first + REMOVED_AT_ONCE])
        self._removed_after = looked_at[-1]["user_id"] if len(looked_at) == LOOKED_AT_ONCE else ""

    async def _read_letters(self) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            read = await read_letters(connection)
        if read:
            log.info("found whom dead letters of an older version name", action="letters_read", dead_letters=read)
        return read

    async def _erase_letters(self, user_ids: Sequence[str]) -> None:
        erased = ERASED_AT_ONCE
        while erased == ERASED_AT_ONCE:
            async with self._pool.acquire() as connection, connection.transaction():
                erased = await erase_letters(connection, user_ids, ERASED_AT_ONCE)
            if erased:
                log.info("dead letters of erased users blanked", action="letters_erased", dead_letters=erased)

    async def _apply(self, keys: Sequence[VerdictKey]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            losing = await unpark_events(connection, keys)
        self._metrics.lost(len(losing))

    async def _on_refused(self, key: VerdictKey, refusal: BaseException) -> None:
        user_id, _, submission_id = key
        log.error(
            "parked event refused by PostgreSQL",
            action="dead_letter",
            user_id=user_id,
            submission_id=submission_id,
            error=str(refusal),
        )
        await self._pool.execute(PARKED_EVENTS_SQL["dead_letter_parked_event"], self._topic, *key, str(refusal))
        self._metrics.dead_lettered(Reason.REFUSED_BY_DATABASE)
