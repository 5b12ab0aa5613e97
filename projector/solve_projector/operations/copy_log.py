"""Copies the log to a new topic without the names of erased users, and proves that both fold to the same.

1. Read the log for erasures.
2. Compare what the topic has already with what the copy must begin with; anything else is refused, and left as it is.
3. Write the rest, partition by partition. A crash leaves a beginning, with which the next run goes on.
4. Read both, side by side: each record of the copy is what it must be, and does the same to the tables.

Only then the topic is a log that a projector accepts. Nothing is read of PostgreSQL, and nothing written to it.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from solve_projector.domain.batch import LogRecord, size_in_bytes
from solve_projector.domain.nameless_copy import Content, Erasures, outcome_of, without_names
from solve_projector.errors import CopyRefused, SettingsError, TopicMissing
from solve_projector.log.copying import LogCopy, open_copy
from solve_projector.log.inspection import open_inspector
from solve_projector.log.scan import LogScan, open_scan
from solve_projector.log.state import LogState
from solve_runtime.kafka_settings import KafkaConnection

WRITTEN_AT_ONCE = 5_000
WRITTEN_BYTES = 8 * 1024 * 1024

OnProgress = Callable[[str, int, int], None]


@dataclass(slots=True)
class CopyReport:
    """What a copy consists of. `records`, by kind, are the same in both topics."""

    topic: str
    copy: str
    copied: int = 0
    found: int = 0  # of an earlier run
    names_left_out: int = 0
    dead_letters_blanked: int = 0
    users_erased: int = 0
    records: Counter[str] = field(default_factory=Counter)
    open_transactions: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"success": True, **asdict(self), "records": dict(sorted(self.records.items()))}


async def copy_log(connection: KafkaConnection, to: str, on_progress: OnProgress) -> CopyReport:
    """Copies what is in the log now. Safe to interrupt and to repeat; a repetition adds what came since.

    Raises SettingsError, CopyRefused, TopicMissing, TopicUnsafe, LogHeadGone, OffsetOutOfRange, KafkaUnavailable.
    """
    if to == connection.topic:
        raise SettingsError(f"topic {to} is the log itself; name another one with --to")
    new = connection.model_copy(update={"topic": to})
    report = CopyReport(connection.topic, to)
    async with open_inspector(connection) as inspector:
        state = await inspector.state()
        state.require_safe()
        report.open_transactions = [one.said for one in (await inspector.open_transactions(state)).values()]
    found = await _ends_of(new, state)
    async with open_scan(connection) as log, open_scan(new) as copied:
        copying = _Copying(log, copied, state, report, on_progress)
        await copying.read_erasures()
        await copying.compare("checking", found)
        async with open_copy(new, state.settings) as copy:
            await copy.begin(len(state.ends))
            ends = await copying.write(copy, found)
            await copying.compare("proving", ends)
            await copy.finish()
    return report


async def _ends_of(new: KafkaConnection, state: LogState) -> dict[int, int]:
    """How much of the copy is there. Raises CopyRefused where the topic cannot become one."""
    async with open_inspector(new) as inspector:
        try:
            there = await inspector.state()
        except TopicMissing:
            return dict.fromkeys(state.ends, 0)
    if there.ends.keys() != state.ends.keys():
        raise CopyRefused(
            f"topic {new.topic} has {len(there.ends)} partitions and the log {len(state.ends)}; nothing was changed: "
            "name a topic that does not exist"
        )
    if any(there.earliest.values()) or there.ends != there.high_watermarks:
        raise _not_a_copy(new.topic)
    return dict(there.ends)


class _Copying:
    """One run: the log and the copy, each read apart, and what was found so far."""

    def __init__(
        self, log: LogScan, copied: LogScan, state: LogState, report: CopyReport, on_progress: OnProgress
    ) -> None:
        self._log = log
        self._copied = copied
        self._ends = state.ends
        self._report = report
        self._on_progress = on_progress
        self._erasures = Erasures()

    async def read_erasures(self) -> None:
        done, total = 0, sum(self._ends.values())
        async for records in self._log.read({partition: (0, end) for partition, end in self._ends.items()}):
            self._erasures.add(records)
            done += len(records)
            self._on_progress("reading erasures", done, total)
        self._report.users_erased = len(self._erasures.erased_at)

    async def compare(self, phase: str, ends: Mapping[int, int]) -> None:
        """Raises CopyRefused unless the copy, up to `ends`, is what it must be, and does the same to the tables."""
        self._report.records.clear()
        done, total = count(1), sum(ends.values())
        for partition, end in ends.items():
            records = self._records(self._log, partition, self._ends[partition])
            async for copied in self._records(self._copied, partition, end):
                record = await anext(records, None)
                if record is None or not self._is_copy(record, copied):
                    raise _not_a_copy(self._copied.topic, partition, copied.offset)
                if (number := next(done)) % WRITTEN_AT_ONCE == 0:
                    self._on_progress(phase, number, total)
            await records.aclose()
        self._on_progress(phase, total, total)

    def _is_copy(self, record: LogRecord, copied: LogRecord) -> bool:
        found = Content(copied.timestamp, copied.key, copied.value, tuple(copied.headers))
        outcome = outcome_of(record, self._erasures.erased_at)
        self._report.records[outcome.kind] += 1
        return found == without_names(record, self._erasures) and outcome == outcome_of(copied, {})

    async def write(self, copy: LogCopy, found: Mapping[int, int]) -> dict[int, int]:
        """Writes what is not there yet; returns how much is there then."""
        report, total, ends = self._report, sum(self._ends.values()), {}
        report.found = sum(found.values())
        for partition, end in self._ends.items():
            chunk: list[Content] = []
            size = position = 0
            async for record in self._records(self._log, partition, end):
                content = without_names(record, self._erasures)
                self._count(record, content)
                position += 1
                if position > found[partition]:
                    chunk.append(content)
                    size += size_in_bytes(record)
                if len(chunk) == WRITTEN_AT_ONCE or size > WRITTEN_BYTES:
                    await copy.write(partition, chunk)
                    report.copied += len(chunk)
                    self._on_progress("copying", report.found + report.copied, total)
                    chunk, size = [], 0
            await copy.write(partition, chunk)
            report.copied += len(chunk)
            ends[partition] = position
        return ends

    def _count(self, record: LogRecord, content: Content) -> None:
        if content.value != record.value:
            if content.value is None:
                self._report.dead_letters_blanked += 1
            else:
                self._report.names_left_out += 1

    async def _records(self, scan: LogScan, partition: int, end: int) -> AsyncGenerator[LogRecord]:
        async for records in scan.read({partition: (0, end)}):
            for record in records:
                yield record


def _not_a_copy(topic: str, partition: int | None = None, offset: int | None = None) -> CopyRefused:
    where = "" if partition is None else f": the record at offset {offset} of partition {partition} is another one"
    return CopyRefused(
        f"topic {topic} is not empty, and no beginning of this copy{where}; nothing in it was changed. If it is an "
        "older copy, somebody was erased since: delete it, or name another topic"
    )
