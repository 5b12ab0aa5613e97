"""How does one batch after the other reach PostgreSQL, whatever fails on the way? (I2, I3, I4)

Each failure has one answer. Overtaken, or a lost connection (perhaps committed, perhaps not): read the offsets again
and build again. A record that PostgreSQL refuses: halve the batch until it is found, and keep it as a dead letter.
A batch that takes too long: halve it, too.
PostgreSQL away: wait for it. Anything else stops the projector with an error that says what to do.
"""

from collections.abc import Awaitable, Callable
from enum import Enum, auto

import asyncpg
import structlog

from solve_projector.domain.batch import Batch, Rows, fold
from solve_projector.errors import DatabaseRefused, Overtaken, RegistrationCrossed
from solve_projector.store.counts import Applied, apply_rows
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, said_of, took_too_long
from solve_projector.telemetry.monitor import Monitor

log = structlog.get_logger()


class Outcome(Enum):
    """What became of a batch."""

    APPLIED = auto()
    REBUILD = auto()  # nothing is known of it: positions must be read again


class BatchWriter:
    """Applies batches one at a time, and hands on what each commit changed."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        topic: str,
        reached: dict[int, int],
        on_applied: Callable[[Applied], Awaitable[None]],
        monitor: Monitor,
    ) -> None:
        self._pool = pool
        self._topic = topic
        self._reached = reached
        self._on_applied = on_applied
        self._monitor = monitor

    async def write(self, batch: Batch, rows: Rows | None = None) -> Outcome:
        """Applies a batch, of which `rows` are folded already. Raises DatabaseRefused where nothing can help."""
        try:
            await self._apply(batch, rows or fold(batch))
        except Overtaken as overtaken:
            self._monitor.metrics.fenced()
            log.warning("batch overtaken", action="fenced", expected=overtaken.expected, found=overtaken.found)
            return Outcome.REBUILD
        except RegistrationCrossed:
            return await self.write(batch)
        except DATABASE_ERRORS as error:
            return await self._answer(error, batch)
        return Outcome.APPLIED

    async def _answer(self, error: BaseException, batch: Batch) -> Outcome:
        failure = classify(error)
        if failure is Failure.TRANSIENT:
            self._monitor.database_failed(error)
            log.warning("batch not confirmed", action="transaction_failed", error=said_of(error))
            if took_too_long(error) and len(batch.records) > 1:
                return await self._halve(batch)  # the same again would take as long
            return Outcome.REBUILD
        if failure is Failure.FINAL or not batch.records:
            raise DatabaseRefused(
                f"PostgreSQL refuses a batch of {dict(batch.ranges)}: {error}; mend it and start again"
            ) from error
        if len(batch.records) > 1:
            return await self._halve(batch)
        return await self._bury(batch, error)

    async def _halve(self, batch: Batch) -> Outcome:
        for half in batch.split():
            if await self.write(half) is Outcome.REBUILD:
                return Outcome.REBUILD
        return Outcome.APPLIED

    async def _bury(self, batch: Batch, refusal: BaseException) -> Outcome:
        """One record is refused. It may be a registration whose parked events are to blame: they are the sweep's."""
        rows = fold(batch)
        try:
            if rows.registrations:
                try:
                    await self._apply(batch, rows, unpark=False)
                except DATABASE_ERRORS as error:
                    if classify(error) is not Failure.DATA:
                        raise
                else:
                    return Outcome.APPLIED
            if rows.dead_letters:
                raise _refused(batch, refusal) from refusal
            record = batch.records[0].record
            log.error(
                "record refused by PostgreSQL",
                action="dead_letter",
                partition=record.partition,
                offset=record.offset,
                error=str(refusal),
            )
            rejected = batch.reject_only_record(str(refusal))
            await self._apply(rejected, fold(rejected))
        except Overtaken:
            self._monitor.metrics.fenced()
            return Outcome.REBUILD
        except DATABASE_ERRORS as error:
            if classify(error) is not Failure.TRANSIENT:
                raise _refused(batch, error) from error
            self._monitor.database_failed(error)
            return Outcome.REBUILD
        return Outcome.APPLIED

    async def _apply(self, batch: Batch, rows: Rows, *, unpark: bool = True) -> None:
        async with self._pool.acquire() as connection:
            applied = await apply_rows(connection, self._topic, rows, unpark=unpark)
        self._reached.update({partition: end for partition, (_, end) in rows.ranges.items()})
        self._monitor.metrics.applied(batch, applied)
        self._monitor.database_answered()
        await self._on_applied(applied)


def _refused(batch: Batch, refusal: BaseException) -> DatabaseRefused:
    return DatabaseRefused(
        f"PostgreSQL refuses a batch of offsets {dict(batch.ranges)}: {refusal}; mend it and start again"
    )
