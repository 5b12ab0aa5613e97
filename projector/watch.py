"""Is the log still whole while we run, and do we still get on? Looked at every few seconds (I10).

A consumer can be alive and never come back to its group (aiokafka #1154, #847, #625): where there is work and
PostgreSQL's offsets have not moved for a while, the process joins anew as another member.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import asyncpg
import structlog

from projector.database import DATABASE_ERRORS, Failure, classify
from projector.errors import KafkaUnavailable, TopicMissing
from projector.log.inspection import LogInspector, LogState
from projector.progress import read_progress

# A broker that has just started may not know its topics yet.
CHECKS_UNTIL_MISSING = 2
CHECKS_BETWEEN_WARNINGS = 60

log = structlog.get_logger()


class LogWatch:
    """Watches one topic beside the pipeline."""

    def __init__(
        self, pool: asyncpg.Pool, inspector: LogInspector, stall_after_s: float, rejoin: Callable[[], Awaitable[None]]
    ) -> None:
        self._pool = pool
        self._inspector = inspector
        self._stall_after_s = stall_after_s
        self._rejoin = rejoin
        self._missing = 0
        self._checks = 0
        self._warned: dict[str, str] = {}
        self._offsets: dict[int, int] = {}
        self._moved_at = monotonic()

    async def run(self, interval_s: float) -> None:
        """Raises TopicMissing, LogRewritten, OffsetOutOfRange; what passes by itself is logged."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self._check()
            except TopicMissing:
                self._missing += 1
                if self._missing >= CHECKS_UNTIL_MISSING:
                    raise
            except KafkaUnavailable as error:
                log.warning("log not checked", action="log_check", error=str(error))
            except DATABASE_ERRORS as error:
                if classify(error) is not Failure.TRANSIENT:
                    raise
                log.warning("log not checked", action="log_check", error=str(error) or type(error).__name__)

    async def _check(self) -> None:
        # PostgreSQL first: the log only grows, so an offset beyond its end is no race
        progress = await read_progress(self._pool, self._inspector.topic)
        state = await self._inspector.state()
        self._missing = 0
        self.report_unsafe(state)
        await self._inspector.verify(progress, state)
        offsets = {partition: row.next_offset for partition, row in progress.items()}
        await self._look_for_a_stall(offsets, state)

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
        self._warned = unsafe
        self._checks += 1

    async def _look_for_a_stall(self, offsets: dict[int, int], state: LogState) -> None:
        behind = {p: end - offsets.get(p, 0) for p, end in state.ends.items() if end > offsets.get(p, 0)}
        if not behind or offsets != self._offsets:
            self._offsets = offsets
            self._moved_at = monotonic()
        elif monotonic() - self._moved_at > self._stall_after_s:
            log.error("no progress although there is work; joining the group anew", action="stalled", behind=behind)
            self._moved_at = monotonic()
            await self._rejoin()
