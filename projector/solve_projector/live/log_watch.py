"""Checks every few seconds that the log is intact and that projection makes progress (I10).

A consumer can be alive and never return to its group (aiokafka #1154, #847, #625): if there is work and PostgreSQL's
offsets have not moved for a while, the process rejoins as a new member. If that does not help, its liveness probe fails
(`projector/solve_projector/telemetry/health.py`), so that whatever started it restarts it.
"""

import asyncio
from dataclasses import dataclass
from time import time

import asyncpg
import structlog

from solve_projector.errors import KafkaUnavailable, TopicMissing
from solve_projector.live.reader import LogReader
from solve_projector.live.start_offsets import StartOffsets
from solve_projector.log.inspection import LogInspector
from solve_projector.log.state import LogState
from solve_projector.store.offsets import read_offsets
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, said_of
from solve_projector.telemetry.health import Condition
from solve_projector.telemetry.monitor import Monitor
from solve_runtime.tasks import cancelled

# A broker that has just started may not know its topics yet.
CHECKS_UNTIL_MISSING = 2
CHECKS_BETWEEN_WARNINGS = 60

log = structlog.get_logger()


@dataclass
class LogWatch:
    """Watches one topic beside the pipeline."""

    pool: asyncpg.Pool
    inspector: LogInspector
    reader: LogReader
    start_offsets: StartOffsets
    monitor: Monitor

    def __post_init__(self) -> None:
        self._missing = 0
        self._checks = 0
        self._warned: dict[str, str] = {}
        self._transactions: set[tuple[int, int]] = set()
        self._rejoined_at_s: float | None = 0.0

    async def run(self, interval_s: float, stall_after_s: float) -> None:
        """Raises TopicMissing, LogRewritten, OffsetOutOfRange; failures that pass by themselves are logged."""
        standstill = self.monitor.health.standstill
        while not cancelled():
            try:
                await self._check(stall_after_s)
                await self._rejoin_if_stalled(stall_after_s)
            except TopicMissing:
                standstill.pause()
                self._missing += 1
                if self._missing >= CHECKS_UNTIL_MISSING:
                    raise
            except KafkaUnavailable as error:
                standstill.pause()
                self.monitor.log_failed(error)
                log.warning("log not checked", action="log_check", error=str(error))
            except DATABASE_ERRORS as error:
                if classify(error) is not Failure.TRANSIENT:
                    raise
                standstill.pause()
                self.monitor.database_failed(error)
                log.warning("log not checked", action="log_check", error=said_of(error))
            await asyncio.sleep(interval_s)

    async def _check(self, stall_after_s: float) -> None:
        # PostgreSQL first: the log only grows, so an offset beyond its end is not a race
        reached = await read_offsets(self.pool, self.inspector.topic)
        self.monitor.database_answered()
        state = await self.inspector.state()
        self.monitor.log_answered()
        self._missing = 0
        self.report_unsafe(state)
        await self._report_transactions(state, stall_after_s)
        await self.inspector.verify(reached, state)
        offsets = {partition: row.next_offset for partition, row in reached.items()}
        mine = self.reader.member_of
        # a process that is no member may get any partition; one that waits for a rebuild has no work
        self.monitor.health.standstill.observe(offsets, state.ends, state.ends if mine is None else mine)
        if self.start_offsets.rebuild_awaited:
            self.monitor.health.standstill.pause()

    def report_unsafe(self, state: LogState) -> None:
        """Logs that the log can lose records; stopping now would lose the newest ones as well."""
        unsafe: dict[str, str] = state.unsafe_settings()
        if gone := {partition: at for partition, at in state.earliest.items() if at > 0}:
            unsafe["earliest"] = str(gone)
        if unsafe and (unsafe != self._warned or self._checks % CHECKS_BETWEEN_WARNINGS == 0):
            log.error(
                "the log can no longer prove the counts; projection continues, replay is refused",
                action="log_unsafe",
                topic=state.topic,
                found=unsafe,
                do="restore the topic's settings; `solve-projector setup` prints the command",
            )
        if unsafe:
            found = ", ".join(f"{name}={value}" for name, value in unsafe.items())
            self.monitor.health.missing(Condition.LOG_SAFE, f"the log can no longer prove the counts: {found}")
        else:
            self.monitor.health.met(Condition.LOG_SAFE)
        self._warned = unsafe
        self._checks += 1

    async def _report_transactions(self, state: LogState, stall_after_s: float) -> None:
        """As a metric at once, and in the log once for each that is open for as long as a stall."""
        held_s = 0.0
        for one in (await self.inspector.open_transactions(state)).values():
            held_s = max(held_s, time() - one.since_s)
            place = one.partition, one.offset
            if time() - one.since_s > stall_after_s and place not in self._transactions:
                self._transactions.add(place)
                log.warning(one.said, action="open_transaction", topic=state.topic)
        self._transactions &= set(state.held().items())
        self.monitor.metrics.transaction_open(held_s)

    async def _rejoin_if_stalled(self, stall_after_s: float) -> None:
        standstill = self.monitor.health.standstill
        if self._rejoined_at_s is None:  # the new member gets as much time as the old one had
            self._rejoined_at_s = standstill.seconds
        if standstill.seconds < self._rejoined_at_s:
            self._rejoined_at_s = 0.0
        if standstill.seconds - self._rejoined_at_s > stall_after_s:
            log.error(
                "no progress although there is work; rejoining the group",
                action="stalled",
                partitions={p: round(seconds, 1) for p, seconds in standstill.stuck.items()},
            )
            self._rejoined_at_s = None
            await self.reader.rejoin()
