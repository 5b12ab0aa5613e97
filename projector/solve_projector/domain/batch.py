"""Decodes the records of a batch and folds them into the rows PostgreSQL needs, without any I/O.

A batch covers a range `[from, to)` of each partition. Offsets have gaps (transaction markers, aborted records), so `to`
is the consumer's position and not the last record's offset plus one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from solve_projector.domain.decoding import decode_record, verdict_in
from solve_projector.domain.named_users import named_users
from solve_projector.domain.rule import (
    ProblemFact,
    Registration,
    Removal,
    Verdict,
    VerdictKey,
    fold_problem_fact,
    fold_registration,
    fold_removal,
    fold_verdict,
    problem_fact_of,
    registration_of,
    removal_of,
)
from solve_schemas.events import Event, ProblemRestored, ProblemWithdrawn, UserRegistered, UserRemoved
from solve_schemas.rejection import Reason, Rejected

Ranges = Mapping[int, tuple[int, int]]


class LogRecord(Protocol):
    """The fields we use of the Kafka client's record; `timestamp` is the broker's, in milliseconds."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class DecodedRecord(NamedTuple):
    """A record with its event, or with the reason why it has none."""

    record: LogRecord
    said: Verdict | Event | Rejected


class DeadLetter(NamedTuple):
    """A record that cannot be applied, with the reason."""

    record: LogRecord
    why: Rejected

    def columns(self) -> tuple[Any, ...]:
        """As `dead_letters` has them; text without the NUL that PostgreSQL's refuses."""
        record = self.record
        return (
            record.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            [name.replace("\x00", "\\x00") for name, _ in record.headers],
            [content for _, content in record.headers],
            self.why.reason.value,
            self.why.detail.replace("\x00", "\\x00"),
            named_users(record.key, record.value),
        )


@dataclass(slots=True)
class Batch:
    """All records of some ranges of partitions, in log order per partition."""

    ranges: Ranges
    records: list[DecodedRecord]

    def split(self) -> tuple["Batch", "Batch"]:
        """Two batches that do the same when applied one after the other. Needs at least two records."""
        middle = len(self.records) // 2
        head, tail = self.records[:middle], self.records[middle:]
        begins = {}  # where the tail starts in each partition
        for decoded in reversed(tail):
            begins[decoded.record.partition] = decoded.record.offset
        head_partitions = {decoded.record.partition for decoded in head}
        head_ranges, tail_ranges = {}, {}
        for partition, (begin, end) in self.ranges.items():
            if partition not in begins:
                head_ranges[partition] = (begin, end)
            elif partition not in head_partitions:
                tail_ranges[partition] = (begin, end)
            else:
                head_ranges[partition] = (begin, begins[partition])
                tail_ranges[partition] = (begins[partition], end)
        return Batch(head_ranges, head), Batch(tail_ranges, tail)

    def reject_only_record(self, detail: str) -> "Batch":
        """This batch of one record, with the record as a dead letter."""
        (decoded,) = self.records
        why = Rejected(Reason.REFUSED_BY_DATABASE, detail)
        return Batch(self.ranges, [DecodedRecord(decoded.record, why)])


class Fingerprint(NamedTuple):
    """Offset and broker timestamp of a partition's first and last record; a rewritten log has other ones (I10)."""

    first_offset: int
    first_timestamp_ms: int
    last_offset: int
    last_timestamp_ms: int


@dataclass(slots=True)
class Rows:
    """A folded batch: each user, problem and submission once, and the verdicts that lost by their time."""

    ranges: Ranges
    registrations: dict[str, Registration] = field(default_factory=dict)
    removals: dict[str, Removal] = field(default_factory=dict)
    problem_facts: dict[str, ProblemFact] = field(default_factory=dict)
    verdicts: dict[VerdictKey, Verdict] = field(default_factory=dict)
    superseded: list[Verdict] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    fingerprints: dict[int, Fingerprint] = field(default_factory=dict)
    records: int = 0
    mis_keyed: int = 0


def decode_records(records: Iterable[LogRecord]) -> list[DecodedRecord]:
    """Each record with its event, or with the reason why it has none."""
    return [DecodedRecord(record, decode_record(record)) for record in records]


def fold(batch: Batch) -> Rows:
    """Folds a batch's duplicates, because one upsert cannot touch a row twice."""
    rows = Rows(batch.ranges)
    fold_into(rows, batch.records)
    return rows


def fold_into(rows: Rows, records: Sequence[DecodedRecord]) -> None:
    """Adds records, in log order, to rows."""
    registrations, verdicts = rows.registrations, rows.verdicts
    for record, said in records:
        if isinstance(said, Rejected):
            rows.dead_letters.append(DeadLetter(record, said))
            continue
        if record.key != (said.user_id if isinstance(said, Verdict) else said.key).encode():
            rows.mis_keyed += 1
        if isinstance(said, UserRegistered):
            fold_registration(registrations, said.user_id, registration_of(said))
        elif isinstance(said, UserRemoved):
            fold_removal(rows.removals, said.user_id, removal_of(said))
        elif isinstance(said, ProblemWithdrawn | ProblemRestored):
            fold_problem_fact(rows.problem_facts, said.problem_id, problem_fact_of(said))
        else:
            verdict = said if isinstance(said, Verdict) else verdict_in(record, said)
            if lost := fold_verdict(verdicts, verdict):
                rows.superseded.append(lost)
    rows.records += len(records)
    extend_fingerprints(rows.fingerprints, [record for record, _ in records])


def extend_fingerprints(fingerprints: dict[int, Fingerprint], records: Iterable[LogRecord]) -> None:
    """Extends the fingerprint of each partition by records in log order."""
    first: dict[int, LogRecord] = {}
    last: dict[int, LogRecord] = {}
    for record in records:
        first.setdefault(record.partition, record)
        last[record.partition] = record
    for partition, end in last.items():
        known = fingerprints.get(partition)
        begin = known[:2] if known else (first[partition].offset, first[partition].timestamp)
        fingerprints[partition] = Fingerprint(*begin, end.offset, end.timestamp)


def size_in_bytes(record: LogRecord) -> int:
    """Roughly how many bytes of a statement a record takes."""
    headers = sum(len(name) + len(content or b"") for name, content in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + 64


def cut(
    moved: Ranges, records: Mapping[int, Sequence[LogRecord]], max_bytes: int
) -> Iterator[tuple[Ranges, list[LogRecord]]]:
    """Splits one read into transactions of at most `max_bytes`; a larger record gets one of its own."""
    chunk: list[LogRecord] = []
    size = 0
    begins = {partition: begin for partition, (begin, _) in moved.items()}
    for partition in moved:
        for record in records.get(partition, ()):
            weight = size_in_bytes(record)
            if chunk and size + weight > max_bytes:
                ends = {one.partition: one.offset + 1 for one in chunk}
                yield _ranges(begins, ends), chunk
                begins.update(ends)
                chunk, size = [], 0
            chunk.append(record)
            size += weight
    yield _ranges(begins, {partition: end for partition, (_, end) in moved.items()}), chunk


def _ranges(begins: Mapping[int, int], ends: Mapping[int, int]) -> Ranges:
    return {partition: (begins[partition], end) for partition, end in ends.items() if end > begins[partition]}
