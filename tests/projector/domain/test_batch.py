"""Batches that are cut in two and keep their ranges and records."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from solve_projector.domain.batch import Batch, DecodedRecord, fold
from solve_schemas.rejection import Reason, Rejected

WHY = Rejected(Reason.NOT_JSON, "for a test")


@dataclass(frozen=True)
class Record:
    """A record as the consumer gives it."""

    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Partitions with gaps between offsets, and with none at all."""
    records, ranges = [], {}
    for partition in draw(st.lists(st.integers(0, 3), unique=True, min_size=1)):
        begin = at = draw(st.integers(0, 5))
        for gap in draw(st.lists(st.integers(0, 2), max_size=4)):
            records.append(DecodedRecord(Record(partition, at + gap), WHY))
            at += gap + 1
        ranges[partition] = (begin, at + draw(st.integers(0, 2)))
    return Batch(ranges, records)


@given(batches())
def test_two_halves_one_after_the_other_are_the_whole(batch: Batch) -> None:
    if len(batch.records) < 2:
        return
    head, tail = batch.split()
    assert head.records + tail.records == batch.records
    assert head.records
    assert tail.records
    for partition, (begin, end) in batch.ranges.items():
        parts = [half.ranges[partition] for half in (head, tail) if partition in half.ranges]
        assert parts[0][0] == begin
        assert parts[-1][1] == end
        assert all(first[1] == second[0] for first, second in pairwise(parts))
    for half in (head, tail):
        for decoded in half.records:
            begin, end = half.ranges[decoded.record.partition]
            assert begin <= decoded.record.offset < end


@given(batches())
def test_the_fingerprint_is_of_each_partitions_first_and_last_record(batch: Batch) -> None:
    fingerprints = fold(batch).fingerprints
    for partition in batch.ranges:
        offsets = [decoded.record.offset for decoded in batch.records if decoded.record.partition == partition]
        if offsets:
            assert (fingerprints[partition].first_offset, fingerprints[partition].last_offset) == (
                offsets[0],
                offsets[-1],
            )
        else:
            assert partition not in fingerprints
