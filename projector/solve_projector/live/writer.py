"""Applies folded batches to PostgreSQL, one transaction each (I2, I3, I4).

Each failure has one reaction:
- another writer moved the offset, or the connection was lost (the commit may have succeeded): read PostgreSQL's offsets
  again and rebuild the batch, after a pause that grows while it fails;
- the transaction took too long: halve the batch, or leave the parked events of a user it registers to the sweep; a
  record that takes too long alone, three times, becomes a dead letter;
- PostgreSQL refuses the data: halve the batch until the record is found, which becomes a dead letter;
- anything else stops the projector with an error that says what to do.
The order of steps, and what a crash leaves, is in `pipeline.py` and `store/counts.py`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

import asyncpg
import structlog

from solve_projector.domain.batch import Batch, Ranges, Rows, fold
from solve_projector.errors import DatabaseRefused, Overtaken, RegistrationCrossed
from solve_projector.store.counts import Applied, apply_rows
from solve_projector.store.postgresql import (
    DATABASE_ERRORS,
    Failure,
    classify,
    is_corruption,
    said_of,
    took_too_long,
)
from solve_projector.telemetry.monitor import Monitor

PAUSE_FIRST_S, PAUSE_MOST_S = 0.05, 5.0
SLOW_TRIES = 3

log = structlog.get_logger()


class Outcome(Enum):
    """What became of a batch."""

    APPLIED = auto()
    REREAD = auto()  # unknown or not applied: read PostgreSQL's offsets and the records again


@dataclass(slots=True)
class BatchWriter:
    """Applies batches one at a time, and passes on what each commit changed."""

    pool: asyncpg.Pool
    topic: str
    reached: dict[int, int]
    on_applied: Callable[[Applied], Awaitable[None]]
    monitor: Monitor
    _failures: int = 0  # in a row
    _slow_ranges: Ranges | None = None
    _slow_tries: int = 0

    async def write(self, batch: Batch, rows: Rows | None = None, *, unpark: bool = True) -> Outcome:
        """Applies a batch, folded already as `rows` if given. Raises DatabaseRefused where a retry cannot help.

        With `unpark` off, parked events of users whom the batch registers are left to the sweep.
        """
        rows = rows or fold(batch)
        try:
            await self._apply(batch, rows, unpark=unpark)
        except Overtaken as overtaken:
            self.monitor.metrics.fenced()
            log.warning(
                "another writer moved the offsets first",
                action="fenced",
                expected=overtaken.expected,
                found=overtaken.found,
            )
            return Outcome.REREAD
        except RegistrationCrossed:
            return await self.write(batch, unpark=unpark)
        except DATABASE_ERRORS as error:
            if classify(error) is Failure.TRANSIENT:
                return await self._after_transient(error, batch, rows, unpark=unpark)
            if classify(error) is Failure.DATA and batch.records:
                return await self._after_refusal(error, batch, rows, unpark=unpark)
            raise _refused(batch, error) from error
        return Outcome.APPLIED

    async def _after_transient(self, error: BaseException, batch: Batch, rows: Rows, *, unpark: bool) -> Outcome:
        """Changes what took too long, and waits ever longer before what failed is tried again."""
        self.monitor.database_failed(error)
        self._failures += 1
        is_slow = took_too_long(error) and (len(batch.records) > 1 or (unpark and bool(rows.registrations)))
        pause_s = 0.0 if is_slow else pause_after(self._failures)
        log.warning(
            "transaction failed, retrying",
            action="transaction_failed",
            error=said_of(error),
            failures=self._failures,
            pause_s=round(pause_s, 3),
        )
        if is_slow and len(batch.records) > 1:
            return await self._halve(batch)  # the same batch would take as long again
        if is_slow:
            return await self.write(batch, unpark=False)
        if took_too_long(error) and not rows.dead_letters and self._is_slow_again(batch):
            return await self.write(_dead_letter(batch, said_of(error)))
        await asyncio.sleep(pause_s)
        return Outcome.REREAD

    def _is_slow_again(self, batch: Batch) -> bool:
        """Whether this one record has taken too long SLOW_TRIES times: its neighbours must not wait for ever."""
        if batch.ranges != self._slow_ranges:
            self._slow_ranges, self._slow_tries = batch.ranges, 0
        self._slow_tries += 1
        return len(batch.records) == 1 and self._slow_tries >= SLOW_TRIES

    async def _after_refusal(self, error: BaseException, batch: Batch, rows: Rows, *, unpark: bool) -> Outcome:
        if len(batch.records) > 1:
            return await self._halve(batch)
        if rows.dead_letters:
            raise _refused(batch, error) from error
        if rows.registrations and unpark:  # the refused row may be a parked event of this user
            return await self.write(batch, unpark=False)
        return await self.write(_dead_letter(batch, str(error)))

    async def _halve(self, batch: Batch) -> Outcome:
        for half in batch.split():
            if await self.write(half) is Outcome.REREAD:
                return Outcome.REREAD
        return Outcome.APPLIED

    async def _apply(self, batch: Batch, rows: Rows, *, unpark: bool = True) -> None:
        async with self.pool.acquire() as connection:
            applied = await apply_rows(connection, self.topic, rows, unpark=unpark)
        self.reached.update({partition: end for partition, (_, end) in rows.ranges.items()})
        self.monitor.metrics.applied(batch, applied)
        self.monitor.database_answered()
        self._failures = 0
        await self.on_applied(applied)


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: a full disk or a lack of memory is not cured by hurry."""
    return random.uniform(0.5, 1) * min(PAUSE_MOST_S, PAUSE_FIRST_S * 2.0 ** min(failures - 1, 16))  # noqa: S311


def _dead_letter(batch: Batch, refusal: str) -> Batch:
    record = batch.records[0].record
    log.error(
        "record refused by PostgreSQL",
        action="dead_letter",
        partition=record.partition,
        offset=record.offset,
        error=refusal,
    )
    return batch.reject_only_record(refusal)


def _refused(batch: Batch, refusal: BaseException) -> DatabaseRefused:
    offsets = ", ".join(f"{begin} to {end} of partition {p}" for p, (begin, end) in batch.ranges.items())
    if is_corruption(refusal):
        return DatabaseRefused(
            f"PostgreSQL finds its own data damaged, at the batch of offsets {offsets}: {refusal}; check its disks, "
            "restore its database or drop our tables, and rebuild them with: solve-projector replay"
        )
    said = said_of(refusal)
    return DatabaseRefused(f"PostgreSQL refuses the batch of offsets {offsets}: {said}; fix it and start again")
