"""The offsets at which reading starts: PostgreSQL's, once the log is known to be the one they belong to (I3, I10)."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import structlog
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_any,
    stop_before_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from solve_projector.errors import DatabaseUnavailable, KafkaUnavailable, ProjectorError
from solve_projector.log.inspection import LogInspector
from solve_projector.log.state import PartitionOffset
from solve_projector.store.locks import Lock, holder_of
from solve_projector.store.offsets import add_partitions, read_offsets
from solve_projector.store.postgresql import Failure, classify, said_of
from solve_projector.telemetry.monitor import Monitor

RETRY_FIRST_S = 0.05
RETRY_MOST_S = 2.0
REBUILD_POLL_S = 0.5
# Kafka's answers that waiting does not change.
NEVER_ANSWERED = (
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

log = structlog.get_logger()


@dataclass
class StartOffsets:
    """Gives the reader its start offsets, and keeps errors, because aiokafka swallows what its callbacks raise.

    `reached` is how far this process has committed; `on_rewound` is called if PostgreSQL is below it.
    """

    pool: asyncpg.Pool
    inspector: LogInspector
    reached: Mapping[int, int]
    on_rewound: Callable[[], None]
    monitor: Monitor
    rebuild_awaited: bool = False

    def __post_init__(self) -> None:
        self._failures: asyncio.Queue[BaseException] = asyncio.Queue()

    async def read(self, partitions: set[int]) -> dict[int, int]:
        """The next offset of each partition; empty after an error, which `watch` raises.

        Waits for PostgreSQL and Kafka as long as it takes.
        """
        if not partitions:
            return {}
        try:
            async for attempt in until_answered(self.monitor):
                with attempt:
                    return await self._read(partitions)
        except (ProjectorError, asyncpg.PostgresError) as error:
            self._failures.put_nowait(error)
        return {}

    async def watch(self) -> None:
        """Raises the first error of `read` that waiting does not fix."""
        raise await self._failures.get()

    async def _read(self, partitions: set[int]) -> dict[int, int]:
        await self._wait_for_rebuild()
        await add_partitions(self.pool, self.inspector.topic, partitions)
        reached = await read_offsets(self.pool, self.inspector.topic)
        mine: dict[int, PartitionOffset] = {partition: reached[partition] for partition in partitions}
        await self.inspector.verify(mine, await self.inspector.state())
        if any(row.next_offset < self.reached.get(partition, 0) for partition, row in mine.items()):
            self.on_rewound()
        return {partition: row.next_offset for partition, row in mine.items()}

    async def _wait_for_rebuild(self) -> None:
        """A cold rebuild loads the whole log at once; what it has loaded need not be read again."""
        while holder := await holder_of(self.pool, Lock.COLD_REBUILD):
            if not self.rebuild_awaited:
                log.warning("waiting for a cold rebuild from the log to end", action="rebuild_awaited", **dict(holder))
            self.rebuild_awaited = True
            await asyncio.sleep(REBUILD_POLL_S)
        if self.rebuild_awaited:
            log.info("the cold rebuild has ended", action="rebuild_ended")
        self.rebuild_awaited = False


def until_answered(monitor: Monitor) -> AsyncRetrying:
    """Retries for ever while PostgreSQL or Kafka is unavailable or busy, a few times a second at first."""
    return _retrying(monitor)


def until_started(timeout_s: float, monitor: Monitor, stopping: asyncio.Event | None) -> AsyncRetrying:
    """Like `until_answered`, but not for longer than `timeout_s`, and not once `stopping` is set."""
    stopping = stopping or asyncio.Event()

    async def pause(seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), seconds)

    stop = stop_any(stop_before_delay(timeout_s), stop_when_event_set(stopping))  # type: ignore[arg-type]
    return _retrying(monitor).copy(stop=stop, sleep=pause)


def _may_answer_later(error: BaseException) -> bool:
    if isinstance(error, KafkaUnavailable):
        return not isinstance(error.__cause__, NEVER_ANSWERED)
    cause = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
    return cause is not None and classify(cause) is Failure.TRANSIENT


def _retrying(monitor: Monitor) -> AsyncRetrying:
    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, KafkaUnavailable):
            monitor.log_failed(error)
        elif error is not None:
            monitor.database_failed(error)
        why = said_of(error) if error else ""
        log.warning("server unavailable, retrying", action="unavailable", attempt=state.attempt_number, error=why)

    return AsyncRetrying(
        retry=retry_if_exception(_may_answer_later),
        wait=wait_random_exponential(multiplier=RETRY_FIRST_S, max=RETRY_MOST_S),
        before_sleep=report,
        reraise=True,
    )
