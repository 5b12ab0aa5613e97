"""Runs a replay: reads the log, compares it with the tables, repairs them, and reports what was wrong.

Warm: staged up to PostgreSQL's offsets, compared in one snapshot, repaired in chunks while projection goes on.
Cold (nothing was ever applied): loaded in bulk in one transaction, for which projectors wait.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Literal, NamedTuple

import asyncpg
import structlog

from solve_projector.domain.batch import Fingerprint
from solve_projector.errors import LeaderboardUnavailable, ReplayInterrupted, SettingsError
from solve_projector.leaderboard.audit import compare_board, repair_board
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.live.recounts import Recounts
from solve_projector.live.sweep import Sweep
from solve_projector.log.inspection import LogInspector, open_inspector
from solve_projector.log.scan import LogScan, open_scan
from solve_projector.log.state import LogState
from solve_projector.replay import cold
from solve_projector.replay.applied_offsets import AppliedOffsets, provable, read_applied_offsets, read_row_offsets
from solve_projector.replay.comparison import compare, updates
from solve_projector.replay.repair import Repair
from solve_projector.replay.report import Report, write_updates
from solve_projector.replay.staging import EVERYTHING, Wanted, begin_staging, lock_replay
from solve_projector.replay.worker_pool import Ranges, read_in_parallel
from solve_projector.settings import ProjectorSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.leftovers import drop_staging
from solve_projector.store.offsets import read_offsets
from solve_projector.store.postgresql import DATABASE_ERRORS, open_pool, said_of
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries

RUNS_SQL = queries("solve_projector.replay", "runs")

RUNS_KEPT = 500  # rows for monitors

RECOUNT_PATIENCE_S = 10.0  # then users who wait for one are not compared

CATCH_UP_RECORDS = 20_000
CATCH_UP_ROUNDS = 5

log = structlog.get_logger()
OnProgress = Callable[[str, int, int], None]


By = Literal["judged", "submitted"]


class AsOf(NamedTuple):
    """A time in the past: verdicts judged by then; by `submitted` today's, on submissions handed in by then."""

    moment: datetime
    by: By = "judged"

    @property
    def judged(self) -> datetime | None:
        """Until when verdicts are read; None: all."""
        return self.moment if self.by == "judged" else None

    @property
    def submitted(self) -> datetime | None:
        """Until when submissions count; None: all."""
        return self.moment if self.by == "submitted" else None


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """The choices of an operator."""

    dry_run: bool = False
    workers: int = 0
    partitions: frozenset[int] = frozenset()  # of an audit; empty: all
    report_file: Path | None = None
    as_of: AsOf | None = None  # of what changes nothing


@dataclass(slots=True)
class Replay:
    """An open replay: its locked session, and what it reads with."""

    connection: KafkaConnection
    settings: ProjectorSettings
    options: ReplayOptions
    database: asyncpg.Connection
    inspector: LogInspector
    scan: LogScan
    state: LogState
    row_offsets: Mapping[int, int]
    report: Report
    on_progress: OnProgress

    async def applied_offsets(self) -> AppliedOffsets:
        """The offsets that the tables stand at now."""
        return await read_applied_offsets(self.database, self.inspector, self.state.ends, self.row_offsets)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds a phase's seconds to the report."""
        started = perf_counter()
        try:
            yield
        finally:
            self.report.seconds[phase] = self.report.seconds.get(phase, 0.0) + perf_counter() - started

    def step(self, phase: str) -> Callable[[int, int], None]:
        """Reports the progress of one phase."""
        return lambda done, total: self.on_progress(phase, done, total)

    async def read(self, ranges: Ranges, wanted: Wanted = EVERYTHING) -> dict[int, Fingerprint]:
        """Stages ranges of the log in parallel."""
        total = sum(max(0, end - begin) for begin, end in ranges.values())
        done = 0

        def on_read(number: int) -> None:
            nonlocal done
            done += number
            self.report.records_read += number
            self.on_progress("reading", done, total)

        with self.timed("reading"):
            return await read_in_parallel(self.connection, self.settings, ranges, self.options.workers, on_read, wanted)


async def replay(
    connection: KafkaConnection, settings: ProjectorSettings, options: ReplayOptions, on_progress: OnProgress
) -> Report:
    """Proves all counts against the log, and repairs what differs; with `dry_run` only reports it.

    Raises ReplayRunning, ReplayInterrupted, LogHeadGone, TopicUnsafe, LogRewritten, OffsetOutOfRange, TopicMissing,
    KafkaUnavailable, DatabaseUnavailable, SchemaMismatch.
    """
    with translating_database_errors():
        async with open_replay(connection, settings, options, on_progress) as opened:
            if await cold.is_cold(opened.database, connection.topic):
                opened.report.cold = True
                await _replay_cold(opened)
            else:
                await _compare_board(opened)
                await _replay_warm(opened)
            if options.report_file:
                await write_updates(options.report_file, updates(opened.database))
            if not options.dry_run:
                await _repair_board(opened)
            await _record_run(opened)
            return opened.report


@contextmanager
def translating_database_errors() -> Iterator[None]:
    """Turns PostgreSQL's errors into ReplayInterrupted: nothing half done is ever visible."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise ReplayInterrupted(
            f"PostgreSQL: {said_of(error)}; nothing half done is visible, run the replay again"
        ) from error


@asynccontextmanager
async def open_replay(
    connection: KafkaConnection, settings: ProjectorSettings, options: ReplayOptions, on_progress: OnProgress
) -> AsyncIterator[Replay]:
    """Connects, takes the lock, refuses a log that proves nothing, and makes staging tables, dropped on exit."""
    async with (
        open_inspector(connection) as inspector,
        command_session(settings, replay=True) as database,
        open_scan(connection) as scan,
    ):
        await lock_replay(database)
        # PostgreSQL first: the log only grows, so an offset beyond its end is no race
        progress = await read_offsets(database, inspector.topic)
        state = await inspector.state()
        await inspector.verify(provable(progress, state), state)
        state = _chosen(state, options)
        await begin_staging(database)
        try:
            report = Report(options.dry_run, sorted(options.partitions))
            report.open_transactions = [one.said for one in (await inspector.open_transactions(state)).values()]
            rows = await read_row_offsets(database)
            yield Replay(connection, settings, options, database, inspector, scan, state, rows, report, on_progress)
        finally:
            if not database.is_closed():
                await drop_staging(database)


def _chosen(state: LogState, options: ReplayOptions) -> LogState:
    if not options.partitions:
        return state
    if unknown := options.partitions - state.ends.keys():
        raise SettingsError(f"topic {state.topic} has no partition {_listed(unknown)}; it has {_listed(state.ends)}")
    if not options.dry_run:
        raise SettingsError("a repair needs all partitions, because records may lie in any; add --dry-run")
    return replace(state, ends={partition: state.ends[partition] for partition in options.partitions})


def _listed(partitions: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(partitions)))


async def _replay_cold(replay: Replay) -> None:
    database, state = replay.database, replay.state
    everything = {partition: (0, end) for partition, end in state.ends.items()}
    if replay.options.dry_run:
        await replay.read(everything)
        with replay.timed("comparing"):
            await cold.audit(database, state.ends, replay.report, replay.step("comparing"))
        return
    async with cold.rebuild_announced(database, state):
        async with database.transaction():
            if not await cold.lock_cold(database, state):
                raise ReplayInterrupted("a projector started to apply the log at the same moment; run the replay again")
            async with cold.heartbeat(database):
                fingerprints = await replay.read(everything)
            with replay.timed("rebuilding"):
                await cold.load(database, state, fingerprints, replay.report, replay.step("rebuilding"))
        with replay.timed("rebuilding"):
            await database.execute("ANALYZE users, verdicts, parked_events")
            # for periods, which read the index alone: rows lie in the order of users, not of time
            await database.execute("VACUUM (ANALYZE) solves")


async def _replay_warm(replay: Replay) -> None:
    database, state, report = replay.database, replay.state, replay.report
    if not replay.options.dry_run:
        async with open_pool(replay.settings) as pool:
            await Sweep(pool, state.topic).all_parked()
            await Recounts(pool).all(RECOUNT_PATIENCE_S)
    staged = await _stage_until_near(replay)
    with replay.timed("comparing"):
        applied, dead_letters = await compare(
            database, replay.scan, replay.applied_offsets, staged, report, replay.step("comparing")
        )
    if replay.options.dry_run:
        return
    with replay.timed("repairing"):
        repair = Repair(database, replay.scan, state.topic, applied, replay.settings.transaction_timeout_ms)
        await repair.run(replay.step("repairing"))
        await repair.finish(dead_letters)
        async with open_pool(replay.settings) as pool:
            await Sweep(pool, state.topic).all_removals()
            if not await Recounts(pool).all(RECOUNT_PATIENCE_S):
                log.warning("some users wait for a recount, which a projector goes on with", action="recount_waits")
        report.users_refused = repair.refused
        report.longest_chunk_seconds = round(repair.longest_chunk_s, 4)


async def _stage_until_near(replay: Replay) -> Mapping[int, int]:
    """Stages until projection is not far ahead; the rest is read inside the snapshot."""
    staged: dict[int, int] = dict.fromkeys(replay.state.ends, 0)
    for _ in range(CATCH_UP_ROUNDS):
        applied = await replay.applied_offsets()
        ranges = {partition: (staged[partition], end) for partition, end in applied.offsets.items()}
        if sum(end - begin for begin, end in ranges.values()) < CATCH_UP_RECORDS:
            break
        await replay.read(ranges)
        staged = {partition: max(begin, end) for partition, (begin, end) in ranges.items()}
    return staged


async def _record_run(replay: Replay) -> None:
    """One row for monitors: when the counts were last proved. A replay of some partitions proves too little."""
    report = replay.report
    if report.partitions:
        return
    left = report.users_updated if report.dry_run else len(report.users_refused)
    drift = report.drifted if report.dry_run else bool(left)
    figures = (report.dry_run, drift, report.total_users, left, report.records_read)
    try:
        await replay.database.execute(RUNS_SQL["record_run"], replay.state.topic, *figures, RUNS_KEPT)
    except DATABASE_ERRORS as error:
        log.warning("could not record the replay for monitors", action="replay_not_recorded", error=str(error))


@contextmanager
def _board_is_optional(replay: Replay) -> Iterator[None]:
    """Redis is a cache: if it is unavailable, the report says so and the replay goes on."""
    try:
        with replay.timed("leaderboard"):
            yield
    except LeaderboardUnavailable as error:
        replay.report.leaderboard_problem = str(error)


async def _compare_board(replay: Replay) -> None:
    """Before the repair, so that a board in sync with wrong counts is not reported as drift."""
    topic, pause_s = replay.connection.topic, replay.settings.leaderboard_check_interval_s
    with _board_is_optional(replay):
        async with open_pool(replay.settings) as pool, open_leaderboard(replay.settings, topic) as board:
            on_pass = replay.step("checking leaderboard")
            replay.report.leaderboard = await compare_board(pool, board, pause_s, on_pass)


async def _repair_board(replay: Replay) -> None:
    topic, pause_s = replay.connection.topic, replay.settings.leaderboard_check_interval_s
    with _board_is_optional(replay):
        async with open_pool(replay.settings) as pool, open_leaderboard(replay.settings, topic) as board:
            await repair_board(pool, board, topic, pause_s, replay.step("repairing leaderboard"))
