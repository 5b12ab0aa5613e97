"""Composes a projector process: opens its connections, starts its tasks, and ends both in order.

Nothing outlives the process, so a crash leaves only what `pipeline.py` lists.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import asyncpg
import structlog

from solve_projector.errors import LeaderboardUnavailable, ProjectorError
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.leaderboard.reconciler import BoardReconciler
from solve_projector.live.log_watch import LogWatch
from solve_projector.live.pipeline import Pipeline, Totals
from solve_projector.live.reader import LogReader, open_reader
from solve_projector.live.recounts import Recounts
from solve_projector.live.start_offsets import StartOffsets, until_answered, until_started
from solve_projector.live.sweep import Sweep
from solve_projector.log.inspection import LogInspector, has_fast_client, open_inspector
from solve_projector.settings import ProjectorSettings
from solve_projector.store.leftovers import drop_leftovers
from solve_projector.store.migrate import require_schema
from solve_projector.store.offsets import next_offsets
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, open_pool, said_of
from solve_projector.store.problem_recounts import is_anything_queued
from solve_projector.telemetry.monitor import Monitor
from solve_projector.telemetry.probes import serving_probes
from solve_projector.telemetry.tracing import open_tracing
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import cancel_and_wait, cancelled, first_cause, in_background

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

ONCE_POLL_S = 0.1
LEAVE_TIMEOUT_S = 15.0
BEAT_S = 0.5
RECOUNT_CHECK_S = 2.0  # the fact may have been applied by another process
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
    reconciler: BoardReconciler
    pipeline: Pipeline
    start_offsets: StartOffsets
    monitor: Monitor
    metrics_port: int | None = None


@asynccontextmanager
async def open_projector(
    connection: KafkaConnection,
    settings: ProjectorSettings,
    tracer_provider: "TracerProvider | None" = None,
    stopping: asyncio.Event | None = None,
) -> AsyncIterator[Projector]:
    """Connects to all three servers, and refuses unsuitable tables or an unsuitable log.

    While PostgreSQL or Kafka is unavailable, or locks are held, it waits for SOLVE_START_TIMEOUT_S, or until `stopping`
    is set. Spans go to `tracer_provider`, or where OpenTelemetry's own variables say.
    Raises DatabaseUnavailable, SchemaMismatch, KafkaUnavailable, TopicMissing; and on a first run TopicUnsafe,
    LogHeadGone, MetricsUnservable. Redis may be unavailable.
    """
    async with (
        open_tracing(connection.topic, settings.group_id, tracer_provider) as tracing,
        serving_probes(settings, monitor := Monitor.of(settings, connection.topic, tracing)) as metrics_port,
        _heartbeat(monitor),
        open_leaderboard(settings, connection.topic) as board,
        AsyncExitStack() as opened,
    ):
        async for attempt in until_started(settings.start_timeout_s, monitor, stopping):
            with attempt:
                projector = await _open(opened, connection, settings, board, monitor)
        yield replace(projector, metrics_port=metrics_port)


async def _open(
    opened: AsyncExitStack,
    connection: KafkaConnection,
    settings: ProjectorSettings,
    board: Leaderboard,
    monitor: Monitor,
) -> Projector:
    """Opens what needs a server, and leaves it to `opened` to close it; nothing stays open if it fails."""
    reached: dict[int, int] = {}
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings))
        inspector = await stack.enter_async_context(open_inspector(connection))
        async with pool.acquire() as database:
            await require_schema(database, settings)
            await drop_leftovers(database)
        await _refuse_unsafe_first_run(pool, inspector)
        reconciler = BoardReconciler(pool, board, connection.topic, monitor)
        start_offsets = StartOffsets(pool, inspector, reached, reconciler.database_rewound, monitor)
        await reconciler.check_once()
        reader = await stack.enter_async_context(open_reader(connection, settings, start_offsets.read, monitor))
        pipeline = Pipeline(pool, board, reader, reconciler, reached)
        opened.push_async_exit(stack.pop_all())
        return Projector(settings, pool, inspector, reader, reconciler, pipeline, start_offsets, monitor)


async def run_projector(
    projector: Projector, stopping: asyncio.Event, *, once: bool = False, on_progress: OnProgress | None = None
) -> Totals:
    """Projects until `stopping` is set, or with `once` until PostgreSQL has what could be read of the log at the start.

    `on_progress` gets records done and records to do. Raises ProjectorError where somebody must act, and with `once`
    LeaderboardUnavailable where PostgreSQL is right but Redis could not be synced.
    """
    settings, pipeline = projector.settings, projector.pipeline
    # a batch allocates hundreds of thousands of objects without cycles; searching them took a third of the time
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(projector.start_offsets.watch()),
                tasks.create_task(projector.reconciler.run(settings.leaderboard_check_interval_s)),
                tasks.create_task(_sweep(projector)),
                tasks.create_task(_recount(projector)),
                tasks.create_task(_watch(projector).run(settings.log_check_interval_s, settings.stall_after_s)),
                tasks.create_task(_stop_on_request(projector, stopping)),
            ]
            if once:
                background.append(tasks.create_task(_stop_at_end(projector, on_progress)))
            await pipeline.run()
            await cancel_and_wait(background)
    except* ProjectorError as errors:
        raise first_cause(errors) from errors
    if once and stopping.is_set():
        raise StoppedEarly("stopped before everything in the log was applied; nothing is lost, run it again to go on")
    if once:
        await _finish_once(projector)
    return pipeline.totals


async def _refuse_unsafe_first_run(pool: asyncpg.Pool, inspector: LogInspector) -> None:
    """Before the first record the operator can still choose; later, stopping would lose the newest records (I10)."""
    if not has_fast_client():
        log.warning("aiokafka has no C extension and is six times slower; install its wheel", action="slow_client")
    state = await inspector.state()
    if not any((await next_offsets(pool, inspector.topic)).values()):
        state.require_safe()


def _watch(projector: Projector) -> LogWatch:
    return LogWatch(projector.pool, projector.inspector, projector.reader, projector.start_offsets, projector.monitor)


@asynccontextmanager
async def _heartbeat(monitor: Monitor) -> AsyncIterator[None]:
    """Beats from the start on: preparing for the first record may take long, and is no stuck event loop."""

    async def beat() -> None:
        while not cancelled():
            monitor.health.beat()
            await asyncio.sleep(BEAT_S)

    async with in_background(beat):
        yield


def _sweep_of(projector: Projector) -> Sweep:
    return Sweep(projector.pool, projector.inspector.topic, projector.monitor.metrics)


async def _sweep(projector: Projector) -> None:
    wanted, sweep = projector.pipeline.sweep_wanted, _sweep_of(projector)
    await _repeat(projector, "sweep", wanted, projector.settings.sweep_interval_s, sweep.some, sweep.all)


async def _recount(projector: Projector) -> None:
    recounts = Recounts(projector.pool, projector.monitor.metrics)
    await _repeat(projector, "recount", projector.pipeline.recounts_wanted, RECOUNT_CHECK_S, recounts.all, recounts.all)


async def _repeat(
    projector: Projector,
    name: str,
    wanted: asyncio.Event,
    pause_s: float,
    when_due: Callable[[], Awaitable[object]],
    when_wanted: Callable[[], Awaitable[object]],
) -> None:
    """Does a task of its own beside the batches, each `pause_s` and whenever it is wanted."""
    while not cancelled():
        with suppress(TimeoutError):
            await asyncio.wait_for(wanted.wait(), pause_s)
        do = when_wanted if wanted.is_set() else when_due
        wanted.clear()
        try:
            await do()
        except DATABASE_ERRORS as error:
            if classify(error) is not Failure.TRANSIENT:
                raise
            projector.monitor.database_failed(error)
            log.warning(f"{name} failed, retrying", action=f"{name}_failed", error=said_of(error))


async def _stop_on_request(projector: Projector, stopping: asyncio.Event) -> None:
    await stopping.wait()
    log.info("finishing the current batch", action="stopping")
    projector.pipeline.stop()
    await asyncio.sleep(LEAVE_TIMEOUT_S)
    raise LeaveTimeout(
        "PostgreSQL did not answer in time; nothing is lost: what was not committed is read again at the next start"
    )


class StoppedEarly(ProjectorError):
    """A run that was to end with the log was stopped before."""


class LeaveTimeout(ProjectorError):
    """The current batch could not be finished in time."""


async def _stop_at_end(projector: Projector, on_progress: OnProgress | None) -> None:
    """Stops once PostgreSQL's offsets have reached the end that each partition had at the start, whoever moved them.

    Nor may any problem be left to recount.

    A transaction that was open then may end never, so what it hides is not waited for, but said.
    """
    state = await projector.inspector.state()
    ends = state.ends
    for transaction in (await projector.inspector.open_transactions(state)).values():
        projector.pipeline.totals.open_transactions.append(transaction.said)
        log.warning(transaction.said, action="open_transaction")
    done, recounting = -1, True
    started_at = await _done(projector, ends)
    while done < sum(ends.values()) or recounting:
        async for attempt in until_answered(projector.monitor):
            with attempt:
                done = await _done(projector, ends)
                recounting = await is_anything_queued(projector.pool)
        if on_progress:
            on_progress(done - started_at, sum(ends.values()) - started_at)
        await asyncio.sleep(ONCE_POLL_S)
    projector.pipeline.stop()


async def _done(projector: Projector, ends: Mapping[int, int]) -> int:
    reached = await next_offsets(projector.pool, projector.inspector.topic)
    return sum(min(reached.get(p, 0), end) for p, end in ends.items())


async def _finish_once(projector: Projector) -> None:
    await _sweep_of(projector).all()
    offsets = await next_offsets(projector.pool, projector.inspector.topic)
    try:
        await projector.reconciler.sync(offsets)
    except LeaderboardUnavailable as error:
        raise LeaderboardUnavailable(f"PostgreSQL is right, but the leaderboard is stale: {error}") from error
