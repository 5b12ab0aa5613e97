"""Is the log still whole while we run, and do we still get on? Looked at every few seconds (I10).

A consumer can be alive and never come back to its group (aiokafka #1154, #847, #625): where there is work and
PostgreSQL's offsets have not moved for a while, the process joins anew as another member. Where even that does not
help, its liveness fails (`projector/solve_projector/telemetry/health.py`) and whoever started it may start it again.
"""

import asyncio

import asyncpg
import structlog

from solve_projector.errors import KafkaUnavailable, TopicMissing
from solve_projector.live.reader import LogReader
from solve_projector.live.start_offsets import PositionSource
from solve_projector.log.inspection import LogInspector, LogState
from solve_projector.store.offsets import read_progress
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify
from solve_projector.telemetry.health import Condition
from solve_projector.telemetry.monitor import Monitor
from solve_runtime.tasks import going_on

# A broker that has just started may not know its topics yet.
CHECKS_UNTIL_MISSING = 2
CHECKS_BETWEEN_WARNINGS = 60

log = structlog.get_logger()


class LogWatch:
    """Watches one topic beside the pipeline."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        inspector: LogInspector,
        reader: LogReader,
        positions: PositionSource,
        monitor: Monitor,
    ) -> None:
        self._pool = pool
        self._inspector = inspector
        self._reader = reader
        self._positions = positions
        self._monitor = monitor
        self._missing = 0
        self._checks = 0
        self._warned: dict[str, str] = {}
        self._tried_at_s: float | None = 0.0

    async def run(self, interval_s: float, stall_after_s: float) -> None:
        """Raises TopicMissing, LogRewritten, OffsetOutOfRange; what passes by itself is logged."""
        standstill = self._monitor.health.standstill
        while going_on():
            try:
                await self._check()
                await self._answer_a_stall(stall_after_s)
            except TopicMissing:
                standstill.look_away()
                self._missing += 1
                if self._missing >= CHECKS_UNTIL_MISSING:
                    raise
            except KafkaUnavailable as error:
                standstill.look_away()
                self._monitor.log_failed(error)
                log.warning("log not checked", action="log_check", error=str(error))
            except DATABASE_ERRORS as error:
                if classify(error) is not Failure.TRANSIENT:
                    raise
                standstill.look_away()
                self._monitor.database_failed(error)
                log.warning("log not checked", action="log_check", error=str(error) or type(error).__name__)
            await asyncio.sleep(interval_s)

    async def _check(self) -> None:
        # PostgreSQL first: the log only grows, so an offset beyond its end is no race
        progress = await read_progress(self._pool, self._inspector.topic)
        self._monitor.database_answered()
        state = await self._inspector.state()
        self._monitor.log_answered()
        self._missing = 0
        self.report_unsafe(state)
        await self._inspector.verify(progress, state)
        offsets = {partition: row.next_offset for partition, row in progress.items()}
        mine = self._reader.member_of
        # a process without a membership could have any partition; one that waits for a rebuild has nothing to do
        self._monitor.health.standstill.look(offsets, state.ends, state.ends if mine is None else mine)
        if self._positions.rebuild_awaited:
            self._monitor.health.standstill.look_away()

    def report_unsafe(self, state: LogState) -> None:
        """Says loudly that the log can lose its proof; stopping now would lose the tail as well."""
        unsafe: dict[str, str] = state.unsafe_settings()
        if gone := {partition: at for partition, at in state.earliest.items() if at > 0}:
            unsafe["earliest"] = str(gone)
        if unsafe and (unsafe != self._warned or self._checks % CHECKS_BETWEEN_WARNINGS == 0):
            log.error(
                "the log no longer proves the counts; projection goes on, replay cannot",
                action="log_unsafe",
                topic=state.topic,
                found=unsafe,
                do="set the topic's settings back, as `solve-projector setup` says",
            )
        if unsafe:
            said = ", ".join(f"{name}={value}" for name, value in unsafe.items())
            self._monitor.health.missing(Condition.LOG_SAFE, f"the log no longer proves the counts: {said}")
        else:
            self._monitor.health.met(Condition.LOG_SAFE)
        self._warned = unsafe
        self._checks += 1

    async def _answer_a_stall(self, stall_after_s: float) -> None:
        standstill = self._monitor.health.standstill
        if self._tried_at_s is None:  # the new member has as long as the old one had
            self._tried_at_s = standstill.seconds
        if standstill.seconds < self._tried_at_s:
            self._tried_at_s = 0.0
        if standstill.seconds - self._tried_at_s > stall_after_s:
            log.error(
                "no progress although there is work; joining the group anew",
                action="stalled",
                partitions={p: round(seconds, 1) for p, seconds in standstill.stuck.items()},
            )
            self._tried_at_s = None
            await self._reader.rejoin()
