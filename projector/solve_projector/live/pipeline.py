"""Runs three overlapping stages, Kafka to PostgreSQL to Redis, and stops them in order.

The commit order of a batch, and what a crash after each step leaves:
1. Read, decode and fold records. Left: nothing.
2. One PostgreSQL transaction: counts, parked events, dead letters and offsets (`store/counts.py`). Left: nothing before
   its commit, everything after it.
3. Write the changed users and the batch's range to Redis. Left if it is missing: a stale watermark, which the
   reconciler finds and repairs.
4. Commit the offsets to Kafka's group, for monitors. Left if it is missing: older offsets there, until the next commit.
Step 1 of the next batch runs beside step 2, and step 3 beside the next batch's step 2.
"""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

import asyncpg
import structlog

from solve_projector.domain.batch import Batch, Rows
from solve_projector.errors import LeaderboardUnavailable, ReadInterrupted
from solve_projector.leaderboard.board import Leaderboard
from solve_projector.leaderboard.reconciler import BoardReconciler
from solve_projector.live.reader import LogReader
from solve_projector.live.writer import BatchWriter, Outcome
from solve_projector.store.counts import Applied
from solve_projector.telemetry.metrics import Server
from solve_runtime.tasks import cancel_and_wait, cancelled

BOARD_QUEUE_BATCHES = 16
GROUP_COMMIT_INTERVAL_S = 1.0
READ_RETRY_S = 0.5
LOSING_SHOWN = 10

log = structlog.get_logger()


@dataclass
class Totals:
    """What a run has done so far: records and rows, and seconds of work in each stage (stages overlap).

    With `--once`, also the open transactions that hid records from it.
    """

    batches: int = 0
    records: int = 0
    verdicts: int = 0
    registered: int = 0
    parked: int = 0
    unparked: int = 0
    dead_letters: int = 0
    mis_keyed: int = 0
    fenced: int = 0
    board_writes_dropped: int = 0
    fetch_seconds: float = 0.0
    decode_seconds: float = 0.0
    database_seconds: float = 0.0
    board_seconds: float = 0.0
    open_transactions: list[str] = field(default_factory=list)


class Pending(NamedTuple):
    """A batch on its way to PostgreSQL; stale if the reader has moved on to another generation."""

    generation: int
    batch: Batch
    rows: Rows


class Pipeline:
    """One projector process between its open connections. `run` returns once `stop` was called."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        board: Leaderboard,
        reader: LogReader,
        reconciler: BoardReconciler,
        reached: dict[int, int],
    ) -> None:
        """`reached` is updated with how far this process has committed. Uses the reconciler's monitor."""
        self.totals = Totals()
        self._monitor = reconciler.monitor
        self._board = board
        self._reader = reader
        self._reconciler = reconciler
        self._writer = BatchWriter(pool, reader.topic, reached, self._after_commit, self._monitor)
        self._reached = reached
        self._batches: asyncio.Queue[Pending | None] = asyncio.Queue(maxsize=1)
        self._board_writes: asyncio.Queue[Applied | None] = asyncio.Queue(maxsize=BOARD_QUEUE_BATCHES)
        self._stopping = asyncio.Event()
        self.recounts_wanted = asyncio.Event()  # a problem counts from now on, or no longer
        self.sweep_wanted = asyncio.Event()  # parked events of a new user were left to the sweep

    def stop(self) -> None:
        """Finishes the current batch in both stores, then ends."""
        self._stopping.set()

    async def run(self) -> None:
        """Projects until stopped. Raises ProjectorError where somebody must act."""
        async with asyncio.TaskGroup() as chain:
            commits = chain.create_task(self._commit_to_group())
            chain.create_task(self._read())
            chain.create_task(self._write())
            board = chain.create_task(self._write_board())
            await board
            await cancel_and_wait([commits])
        await self._reader.commit(self._reached)

    async def _read(self) -> None:
        while not self._stopping.is_set():
            fetched, decoded = self._reader.fetch_seconds, self._reader.decode_seconds
            try:
                batches = await self._read_unless_stopped()
            except ReadInterrupted as error:
                self._monitor.metrics.retried(Server.KAFKA)
                log.warning("read failed, retrying", action="read_failed", error=str(error))
                await asyncio.sleep(READ_RETRY_S)
                await self._reader.reposition()
                continue
            generation = self._reader.generation
            for batch, rows in batches:
                await self._batches.put(Pending(generation, batch, rows))
            self._monitor.metrics.read(
                len(batches),
                sum(len(batch.records) for batch, _ in batches),
                self._reader.fetch_seconds - fetched,
                self._reader.decode_seconds - decoded,
            )
        await self._batches.put(None)

    async def _read_unless_stopped(self) -> list[tuple[Batch, Rows]]:
        """Stops waiting once the pipeline stops: a read can wait for a rebalance without end."""
        reading = asyncio.ensure_future(self._reader.read())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else []
        finally:
            reading.cancel()
            stopping.cancel()

    async def _write(self) -> None:
        while pending := await self._batches.get():
            if pending.generation != self._reader.generation:
                continue
            began = perf_counter()
            with self._monitor.tracing(pending.batch) as give_up:
                outcome = await self._writer.write(pending.batch, pending.rows)
                if outcome is Outcome.REREAD:
                    give_up("not committed; reading again from PostgreSQL's offsets")
            took = perf_counter() - began
            self.totals.database_seconds += took
            self._monitor.metrics.processed(took)
            if outcome is Outcome.REREAD:
                self.totals.fenced += 1
                await self._reader.reposition()
        await self._board_writes.put(None)

    async def _after_commit(self, applied: Applied) -> None:
        """Queues a commit's changes for Redis, or drops them if it is unavailable: the reconciler repairs it later."""
        self._count(applied)
        if applied.recounts_asked:
            self.recounts_wanted.set()
        if applied.left_to_sweep:
            self.sweep_wanted.set()
        if self._reconciler.available and not self._board_writes.full():
            self._board_writes.put_nowait(applied)
        else:
            self.totals.board_writes_dropped += 1
        log.debug(
            "batch applied",
            action="applied",
            topic=self._reader.topic,
            ranges=dict(applied.ranges),
            records=applied.records,
            verdicts=applied.verdicts,
            registered=applied.registered,
            parked=applied.parked,
            dead_letters=applied.dead_letters,
            standings=len(applied.standings),
            postgresql_s=round(applied.seconds, 4),
        )
        if applied.parked or applied.dead_letters or applied.mis_keyed:
            log.warning(
                "some records were parked, dead-lettered or mis-keyed",
                action="set_aside",
                ranges=dict(applied.ranges),
                parked=applied.parked,
                dead_letters=applied.dead_letters,
                mis_keyed=applied.mis_keyed,
            )
        if applied.losing:
            log.warning(
                "verdicts lost to ones before them in the log that were judged later; check the judges' clocks",
                action="losing_verdicts",
                verdicts=len(applied.losing),
                places=[f"{partition}:{offset}" for partition, offset in applied.losing[:LOSING_SHOWN]],
            )

    async def _write_board(self) -> None:
        while applied := await self._board_writes.get():
            began = perf_counter()
            try:
                await self._board.write(applied.epoch, applied.standings, applied.ranges)
            except LeaderboardUnavailable as error:
                self._reconciler.mark_unavailable(error)
                self.totals.board_writes_dropped += 1
            else:
                self._monitor.metrics.on_board(applied, perf_counter() - began)
            self.totals.board_seconds += perf_counter() - began

    async def _commit_to_group(self) -> None:
        committed: dict[int, int] = {}
        while not cancelled():
            await asyncio.sleep(GROUP_COMMIT_INTERVAL_S)
            if self._reached != committed:
                committed = dict(self._reached)
                await self._reader.commit(committed)

    def _count(self, applied: Applied) -> None:
        totals = self.totals
        totals.batches += 1
        for name in ("records", "verdicts", "registered", "parked", "unparked", "dead_letters", "mis_keyed"):
            setattr(totals, name, getattr(totals, name) + getattr(applied, name))
        totals.fetch_seconds = self._reader.fetch_seconds
        totals.decode_seconds = self._reader.decode_seconds
