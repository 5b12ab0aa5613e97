"""Where does reading go on? At PostgreSQL's offsets, once the log was seen to be the one they belong to (I3, I10)."""

import asyncio
from collections.abc import Callable, Mapping

import asyncpg
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from solve_projector.errors import KafkaUnavailable, ProjectorError
from solve_projector.log.inspection import LogInspector, Progress
from solve_projector.store.locks import Lock, holder_of
from solve_projector.store.offsets import begin_partitions, read_progress
from solve_projector.store.postgresql import Failure, classify
from solve_projector.telemetry.monitor import Monitor

RETRY_FIRST_S = 0.05
RETRY_MOST_S = 2.0
REBUILD_POLL_S = 0.5

log = structlog.get_logger()


class PositionSource:
    """Gives the reader its positions; keeps what went wrong, since aiokafka swallows what its callbacks raise."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        inspector: LogInspector,
        reached: Mapping[int, int],
        on_went_back: Callable[[], None],
        monitor: Monitor,
    ) -> None:
        """`reached` is how far this process has committed; PostgreSQL below it has gone back, which is told."""
        self._pool = pool
        self._inspector = inspector
        self._reached = reached
        self._on_went_back = on_went_back
        self._monitor = monitor
        self._failures: asyncio.Queue[BaseException] = asyncio.Queue()
        self.rebuild_awaited = False

    async def read(self, partitions: set[int]) -> dict[int, int]:
        """The offset to read next of each partition; nothing where the log is not to be trusted (see `watch`).

        Waits for PostgreSQL and Kafka as long as it takes.
        """
        if not partitions:
            return {}
        try:
            async for attempt in until_answered(self._monitor):
                with attempt:
                    return await self._read(partitions)
        except (ProjectorError, asyncpg.PostgresError) as error:
            self._failures.put_nowait(error)
        return {}

    async def watch(self) -> None:
        """Raises what `read` met and cannot be waited for."""
        raise await self._failures.get()

    async def _read(self, partitions: set[int]) -> dict[int, int]:
        await self._wait_for_rebuild()
        await begin_partitions(self._pool, self._inspector.topic, partitions)
        progress = await read_progress(self._pool, self._inspector.topic)
        mine: dict[int, Progress] = {partition: progress[partition] for partition in partitions}
        await self._inspector.verify(mine, await self._inspector.state())
        if any(row.next_offset < self._reached.get(partition, 0) for partition, row in mine.items()):
            self._on_went_back()
        return {partition: row.next_offset for partition, row in mine.items()}

    async def _wait_for_rebuild(self) -> None:
        """A cold rebuild loads all of the log at once; what it has loaded need not be read again."""
        while holder := await holder_of(self._pool, Lock.COLD_REBUILD):
            if not self.rebuild_awaited:
                log.warning("waiting for a rebuild from the log to end", action="rebuild_awaited", **dict(holder))
            self.rebuild_awaited = True
            await asyncio.sleep(REBUILD_POLL_S)
        if self.rebuild_awaited:
            log.info("the rebuild has ended", action="rebuild_ended")
        self.rebuild_awaited = False


def until_answered(monitor: Monitor) -> AsyncRetrying:
    """Tries again while PostgreSQL or Kafka is away or busy, for ever, a few times a second at first."""

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, KafkaUnavailable):
            monitor.log_failed(error)
        elif error is not None:
            monitor.database_failed(error)
        log.warning("no answer, trying again", action="away", attempt=state.attempt_number, error=repr(error))

    return AsyncRetrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, KafkaUnavailable) or classify(error) is Failure.TRANSIENT
        ),
        wait=wait_random_exponential(multiplier=RETRY_FIRST_S, max=RETRY_MOST_S),
        before_sleep=tell,
        reraise=True,
    )
