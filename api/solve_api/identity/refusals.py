"""Logins that were refused unread, over the rate or with the queue full: counted, and recorded once a minute.

A row each would let a flood fill the table. An address has one row a minute and reason, and of further addresses than
ADDRESSES_MAX all have one together, however long PostgreSQL is unavailable. A process that is killed, or ends without
PostgreSQL, loses what it has counted; one that ends within the write of a row may add it twice.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import asyncpg
import structlog

from solve_api.errors import AuditRefused, PasswordsBusy, TooManyRequests
from solve_api.identity import audit
from solve_api.identity.actors import Actor
from solve_projector.store.postgresql import DATABASE_ERRORS, said_of
from solve_runtime.http.networks import network_of
from solve_runtime.tasks import cancelled, in_background

RECORD_INTERVAL_S = 60.0
LAST_S = 5.0
ADDRESSES_MAX = 50
UNREAD = "(not checked)"  # the name: whoever floods can type many
OTHERS = "(other addresses)"

log = structlog.get_logger()


class Refused(NamedTuple):
    """What is counted together."""

    who: str
    via: str
    client: str
    action: str
    why: str


class Refusals:
    """The counts of this process since the last rows."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._counts: Counter[Refused] = Counter()

    @contextmanager
    def counting(self, actor: Actor, action: str) -> Iterator[None]:
        """Counts what the block refuses unread, and lets it pass on."""
        try:
            yield
        except PasswordsBusy:
            self._count(actor, action, "too many passwords at once")
            raise
        except TooManyRequests:
            self._count(actor, action, "over the rate")
            raise

    def _count(self, actor: Actor, action: str, why: str) -> None:
        found = Refused(actor.name, actor.via, network_of(actor.client), action, why)
        if found not in self._counts and len(self._counts) >= ADDRESSES_MAX:
            found = found._replace(who=UNREAD, client=OTHERS)
        self._counts[found] += 1

    async def record(self) -> None:
        """Adds a row for each count, which is kept until its row is there. Ends where PostgreSQL is unavailable."""
        failed: BaseException | None = None
        for one, number in list(self._counts.items()):
            actor, detail = Actor(one.who, one.via, one.client), {"attempts": number, "because": one.why}
            try:
                await audit.record(self._pool, actor, one.action, detail, audit.REFUSED)
            except AuditRefused as error:  # perhaps this row alone
                failed = error
            except DATABASE_ERRORS as error:
                failed = error
                break
            else:
                self._counts -= Counter({one: number})  # drops what is zero
        if failed:
            _log_unrecorded(said_of(failed))

    async def record_last(self) -> None:
        """Records what is left, and gives up after LAST_S: a process that ends waits for no PostgreSQL."""
        try:
            async with asyncio.timeout(LAST_S):
                await self.record()
        except TimeoutError:
            _log_unrecorded("no answer in time")

    async def keep_recording(self) -> None:
        """Every minute; costs nothing while nobody is refused."""
        while not cancelled():
            await asyncio.sleep(RECORD_INTERVAL_S)
            await self.record()


@asynccontextmanager
async def recording_refusals(pool: asyncpg.Pool) -> AsyncIterator[Refusals]:
    """Records in the background, and what is left on exit."""
    refusals = Refusals(pool)
    try:
        async with in_background(refusals.keep_recording):
            yield refusals
    finally:
        await refusals.record_last()


def _log_unrecorded(error: str) -> None:
    log.warning("refusals are not recorded yet", action="refusals_unrecorded", error=error)
