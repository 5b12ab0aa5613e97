"""Brings the rows of an outbox to the log, a batch at a time: read, publish, settle.

A row leaves the table only after the broker has it. Whatever ends the relay before that leaves the row, and the next
relay publishes it again: the same event counts once. Nothing is kept in memory beyond one batch. While Kafka or the
database is unavailable the rows wait in the table.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic, time

import structlog

from solve_producer.client import SolveProducer
from solve_producer.errors import ProducerError, RecordTooLarge
from solve_projector.domain.decoding import verdict_record
from solve_runtime.tasks import cancel_and_wait
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.record import EncodedRecord, decode, encode
from solve_schemas.record_type import TYPE_HEADER
from solve_schemas.rejection import Reason, Rejected
from solve_sources.errors import OutboxBusy, SourceUnusable
from solve_sources.outbox.settings import OutboxSettings
from solve_sources.outbox.table import PAYLOAD_MAX_BYTES, Outbox, Refused, Row
from solve_sources.outbox.telemetry import Part, RelayTelemetry

DELIVERY_TIMEOUT_S = 10.0  # an attempt; the relay tries again for as long as it runs
FINISH_S = 5.0  # for a batch under way when the relay is stopped
MEASURE_S = 5.0
PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 5.0
REFUSED_LOGGED = 5  # rows of a batch that a log line quotes

log = structlog.get_logger()


@dataclass(slots=True)
class Relayed:
    """What a relay did."""

    published: int = 0
    refused: int = 0


class Relay:
    """One relay; `source` names the judge in each event. `keep` marks what was published, instead of deleting it."""

    def __init__(
        self,
        settings: OutboxSettings,
        producer: SolveProducer,
        telemetry: RelayTelemetry,
        *,
        source: str = DEFAULT_SOURCE,
        keep: bool = False,
    ) -> None:
        self.done = Relayed()
        self._settings = settings
        self._producer = producer
        self._telemetry = telemetry
        self._source = source
        self._keep = keep
        self._stopping = asyncio.Event()
        self._measure_at = 0.0

    async def run_once(self) -> None:
        """Relays what waits now. Raises SourceUnusable, ProducerError, OutboxBusy."""
        async with self._open() as outbox:
            await self._producer.connect()
            while (taken := await self._move(outbox)) == self._settings.outbox_batch_rows:
                pass
        if taken is None:
            raise OutboxBusy("another relay is publishing this outbox; nothing is lost, let it work")

    async def run(self, stopping: asyncio.Event) -> None:
        """Relays until `stopping` is set; then a batch under way has a moment to finish."""
        stop, work = asyncio.create_task(stopping.wait()), asyncio.create_task(self._work())
        try:
            await asyncio.wait((stop, work), return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            await asyncio.wait((work,), timeout=FINISH_S)
        finally:
            await cancel_and_wait((stop, work))
        log.info("stopped", action="outbox_stopped", published=self.done.published, refused=self.done.refused)
        if not work.cancelled():
            work.result()

    async def _work(self) -> None:
        pause_s = PAUSE_MIN_S
        while not self._stopping.is_set():
            self._telemetry.beat()
            try:
                async with self._open() as outbox:
                    pause_s = PAUSE_MIN_S
                    await self._serve(outbox)
            except SourceUnusable as error:
                self._telemetry.fails(Part.DATABASE, error)
                pause_s = await self._pause(pause_s)

    async def _serve(self, outbox: Outbox) -> None:
        pause_s = PAUSE_MIN_S
        while not self._stopping.is_set():
            self._telemetry.beat()
            await self._measure(outbox)
            try:
                await self._producer.connect()  # before a batch, which holds the lock
                taken = await self._move(outbox)
            except SourceUnusable:
                raise
            except ProducerError as error:
                self._telemetry.fails(Part.KAFKA, error)
                pause_s = await self._pause(pause_s)
                continue
            self._telemetry.works(Part.KAFKA)
            pause_s = PAUSE_MIN_S
            if taken != self._settings.outbox_batch_rows:
                await self._wait(outbox)

    async def _move(self, outbox: Outbox) -> int | None:
        """Publishes a batch, and returns how many rows it had; None where another relay has the lock."""
        async with outbox.batch(self._settings.outbox_batch_rows) as rows:
            if rows is None:
                return None
            records, refused = _encoded(rows, self._source)
            too_large = await self._publish(records)
            refused += too_large
            unpublished = {row.seq for row in refused}
            published = [row.seq for row in rows if row.seq not in unpublished]
            await outbox.settle(published, refused, keep=self._keep)
        self._count(len(published), refused)
        return len(rows)

    async def _publish(self, records: Sequence[tuple[int, EncodedRecord]]) -> list[Refused]:
        """Returns once the broker has all but those that it takes from nobody. Raises ProducerError."""
        try:
            await self._producer.publish_records(_each(record for _, record in records))
        except RecordTooLarge:
            return [refused async for refused in self._published_singly(records)]
        return []

    async def _published_singly(self, records: Sequence[tuple[int, EncodedRecord]]) -> AsyncIterator[Refused]:
        for seq, record in records:
            try:
                await self._producer.publish_records(_each([record]))
            except RecordTooLarge as error:
                yield Refused(seq, f"{Reason.TOO_LARGE}: {error}")

    async def _measure(self, outbox: Outbox) -> None:
        if monotonic() >= self._measure_at:
            self._telemetry.measured(await outbox.backlog())
            self._measure_at = monotonic() + MEASURE_S

    async def _wait(self, outbox: Outbox) -> None:
        """Until there may be new rows, or the relay is stopped."""
        stop = asyncio.create_task(self._stopping.wait())
        news = asyncio.ensure_future(outbox.wait(self._settings.outbox_poll_s))
        try:
            await asyncio.wait((stop, news), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait((stop, news))

    async def _pause(self, pause_s: float) -> float:
        """Waits, or until the relay is stopped, and returns the next pause."""
        with_jitter = pause_s * random.uniform(0.5, 1)  # noqa: S311 - jitter
        with suppress(TimeoutError):
            async with asyncio.timeout(with_jitter):
                await self._stopping.wait()
        return min(2 * pause_s, PAUSE_MAX_S)

    def _count(self, published: int, refused: Sequence[Refused]) -> None:
        self._telemetry.moved(published, len(refused))
        self.done.published += published
        self.done.refused += len(refused)
        if refused:
            log.warning(
                f"{len(refused)} rows are no events and were set aside; the others went on",
                action="outbox_rows_refused",
                rows=len(refused),
                first=[{"seq": row.seq, "reason": row.reason} for row in refused[:REFUSED_LOGGED]],
            )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Outbox]:
        outbox = await open_outbox(self._settings)
        self._telemetry.works(Part.DATABASE)
        try:
            yield outbox
        finally:
            await outbox.close()


async def open_outbox(settings: OutboxSettings) -> Outbox:
    """A connection to the judge's database. Raises SourceUnusable, without the password."""
    address = settings.outbox_database_url.get_secret_value()
    if settings.is_mysql:
        from solve_sources.outbox.mysql import MySqlOutbox

        return await MySqlOutbox.connect(address)
    from solve_sources.outbox.postgresql import PostgreSqlOutbox

    return await PostgreSqlOutbox.connect(address)


def _encoded(rows: Sequence[Row], source: str) -> tuple[list[tuple[int, EncodedRecord]], list[Refused]]:
    """The records of a batch, and the rows that are no events: as the projector reads a record of that type and value.

    Verdicts, the most of them, take the decoder that reads them without the models, in a fifth of the time.
    """
    records: list[tuple[int, EncodedRecord]] = []
    refused: list[Refused] = []
    now_ms = int(time() * 1000)
    for row in rows:
        found = _record_of(row, now_ms, source)
        if isinstance(found, Rejected):
            refused.append(Refused(row.seq, f"{found.reason}: {found.detail}"))
        else:
            records.append((row.seq, found))
    return records, refused


def _record_of(row: Row, now_ms: int, source: str) -> EncodedRecord | Rejected:
    if row.payload is None:
        return Rejected(Reason.TOO_LARGE, f"the payload has more than {PAYLOAD_MAX_BYTES} bytes; no event has")
    value, type_name = row.payload.encode("utf-8", "backslashreplace"), row.type.encode("utf-8", "backslashreplace")
    if record := verdict_record(type_name, value, now_ms, source):
        return record
    found = decode(value, [(TYPE_HEADER, type_name)], now_ms)
    return found if isinstance(found, Rejected) else encode(found, source)


async def _each(records: Iterable[EncodedRecord]) -> AsyncIterator[EncodedRecord]:
    for record in records:
        yield record
