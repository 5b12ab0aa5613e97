"""What is a projector process? The one place that opens its connections, starts its tasks and ends them in order."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import structlog

from solve_projector.errors import LeaderboardUnavailable, ProjectorError
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.leaderboard.reconciler import BoardKeeper
from solve_projector.live.log_watch import LogWatch
from solve_projector.live.pipeline import Pipeline, Totals
from solve_projector.live.reader import LogReader, open_reader
from solve_projector.live.start_offsets import PositionSource, until_answered
from solve_projector.live.sweep import sweep
from solve_projector.log.inspection import LogInspector, has_fast_client, open_inspector
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import require_schema
from solve_projector.store.offsets import read_progress
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, open_pool
from solve_projector.telemetry.monitor import Monitor
from solve_projector.telemetry.probes import serving
from solve_projector.telemetry.tracing import open_tracing
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import end, going_on

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

ONCE_POLL_S = 0.1
STEP_TIMEOUT_S = 60.0
LEAVE_TIMEOUT_S = 15.0
BEAT_S = 0.5
GC_THRESHOLDS = (200_000, 20, 100)

log = structlog.get_logger()
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Projector:
    """An open projector: everything `run_projector` needs."""

    settings: ProjectorSettings
    pool: asyncpg.Pool
    inspector: LogInspector
    reader: LogReader
    keeper: BoardKeeper
    pipeline: Pipeline
    positions: PositionSource
    topic: str
    monitor: Monitor
    metrics_port: int | None = None


@asynccontextmanager
async def open_projector(
    connection: KafkaConnection, settings: ProjectorSettings, tracer_provider: "TracerProvider | None" = None
) -> AsyncIterator[Projector]:
    """Connects to all three, and refuses to begin on tables or a log that will not do.

    Spans go to `tracer_provider`, or where OpenTelemetry's own variables say.
    Raises DatabaseUnavailable, SchemaMismatch, KafkaUnavailable, TopicMissing; and on a first run TopicUnsafe,
    LogHeadGone, MetricsUnservable. Redis may be away.
    """
    reached: dict[int, int] = {}
    async with (
        open_tracing(connection.topic, settings.group_id, tracer_provider) as tracing,
        serving(settings, monitor := Monitor.of(settings, connection.topic, tracing)) as metrics_port,
        _beating(monitor),
        open_pool(settings) as pool,
        open_leaderboard(settings, connection.topic) as board,
        open_inspector(connection) as inspector,
    ):
        async with pool.acquire() as database:
            await require_schema(database, settings)
        await _refuse_unsafe_first_run(pool, inspector)
        keeper = BoardKeeper(pool, board, connection.topic, monitor)
        positions = PositionSource(pool, inspector, reached, keeper.doubt, monitor)
        await keeper.check_once()
        async with open_reader(connection, settings, positions.read, monitor) as reader:
            pipeline = Pipeline(pool, board, reader, keeper, reached)
            yield Projector(
                settings, pool, inspector, reader, keeper, pipeline, positions, connection.topic, monitor, metrics_port
            )


async def run_projector(
    projector: Projector, stopping: asyncio.Event, *, once: bool = False, on_progress: OnProgress | None = None
) -> Totals:
    """Projects until `stopping` is set, or with `once` until PostgreSQL has what the log had at the start.

    `on_progress` is told records done and records to do. Raises ProjectorError where somebody must act, and with
    `once` LeaderboardUnavailable where PostgreSQL is right but Redis could not be brought into step.
    """
    settings, pipeline = projector.settings, projector.pipeline
    # a batch allocates hundreds of thousands of objects that hold no cycles: looking for some took a third of the time
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(projector.positions.watch()),
                tasks.create_task(projector.keeper.run(settings.leaderboard_check_interval_s)),
                tasks.create_task(_sweep(projector)),
                tasks.create_task(_watch(projector).run(settings.log_check_interval_s, settings.stall_after_s)),
                tasks.create_task(_stop_when_told(projector, stopping)),
            ]
            if once:
                beside.append(tasks.create_task(_stop_at_end(projector, on_progress)))
            await pipeline.run()
            await end(beside)
    except* ProjectorError as errors:
        raise _first(errors) from errors
    if once and not stopping.is_set():
        await _finish_once(projector)
    return pipeline.totals


async def _refuse_unsafe_first_run(pool: asyncpg.Pool, inspector: LogInspector) -> None:
    """Before the first record the operator can still choose; afterwards stopping would lose the tail as well (I10)."""
    if not has_fast_client():
        log.warning("aiokafka runs without its C extension, six times slower; install its wheel", action="slow_client")
    state = await inspector.state()
    if not any(row.next_offset for row in (await read_progress(pool, inspector.topic)).values()):
        state.require_safe()


def _watch(projector: Projector) -> LogWatch:
    return LogWatch(projector.pool, projector.inspector, projector.reader, projector.positions, projector.monitor)


@asynccontextmanager
async def _beating(monitor: Monitor) -> AsyncIterator[None]:
    """From the first page on: what has to be done before the first record may take long, and is no standstill."""

    async def beat() -> None:
        while going_on():
            monitor.health.beat()
            await asyncio.sleep(BEAT_S)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        await end([task])


async def _sweep(projector: Projector) -> None:
    while going_on():
        await asyncio.sleep(projector.settings.sweep_interval_s)
        try:
            await sweep(projector.pool, projector.topic, projector.monitor.metrics)
        except DATABASE_ERRORS as error:
            if classify(error) is not Failure.TRANSIENT:
                raise
            projector.monitor.database_failed(error)
            log.warning("sweep interrupted", action="sweep_failed", error=str(error) or type(error).__name__)


async def _stop_when_told(projector: Projector, stopping: asyncio.Event) -> None:
    await stopping.wait()
    log.info("finishing the batch in hand", action="stopping")
    projector.pipeline.stop()
    await asyncio.sleep(LEAVE_TIMEOUT_S)
    raise LeaveTimeout("PostgreSQL did not answer while leaving; nothing is lost: what was not committed is read again")


class LeaveTimeout(ProjectorError):
    """The batch in hand could not be finished in time."""


async def _stop_at_end(projector: Projector, on_progress: OnProgress | None) -> None:
    """Stops once PostgreSQL's offsets have reached the end that each partition had at the start, whoever moved them."""
    ends = (await projector.inspector.state()).ends
    done = -1
    begun = await _done(projector, ends)
    while done < sum(ends.values()):
        async for attempt in until_answered(projector.monitor):
            with attempt:
                done = await _done(projector, ends)
        if on_progress:
            on_progress(done - begun, sum(ends.values()) - begun)
        await asyncio.sleep(ONCE_POLL_S)
    projector.pipeline.stop()


async def _done(projector: Projector, ends: Mapping[int, int]) -> int:
    progress = await read_progress(projector.pool, projector.topic)
    return sum(min(progress[p].next_offset, end) if p in progress else 0 for p, end in ends.items())


async def _finish_once(projector: Projector) -> None:
    await sweep(projector.pool, projector.topic, projector.monitor.metrics)
    offsets = {p: row.next_offset for p, row in (await read_progress(projector.pool, projector.topic)).items()}
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            await projector.keeper.bring_into_step(offsets)
    except TimeoutError:
        raise LeaderboardUnavailable(
            "PostgreSQL is right, but the leaderboard did not come into step within a minute; see the log above"
        ) from None
    except LeaderboardUnavailable as error:
        raise LeaderboardUnavailable(f"PostgreSQL is right, but the leaderboard is not in step: {error}") from error


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]  # type: ignore[assignment]
    return errors
