"""Batches in bounded memory: the same records, with the too large and the unreadable ones set aside."""

import random
import tracemalloc
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from solve_projector.log.record_batches import RECORD_MAX_BYTES, bounded, next_offset
from solve_schemas.rejection import SET_ASIDE_HEADER, Reason, set_aside
from tests.projector.log.batches import CODECS, Record, batch, sealed, with_bad_name


def read(data: bytes) -> list[tuple[int, Any]]:
    """As the Kafka client reads it, its checksums included."""
    found = []
    batches = MemoryRecords(data)
    while batches.has_next():
        one = batches.next_batch()
        assert one.validate_crc()
        found += [(record.offset, (record.key, record.value, list(record.headers))) for record in one]
    return found


parts = st.none() | st.binary(max_size=40)
records = st.lists(
    st.tuples(parts, parts, st.lists(st.tuples(st.text(max_size=9), parts), max_size=3)), min_size=1, max_size=9
)


@settings(max_examples=200)
@given(st.lists(records, min_size=1, max_size=4), st.sampled_from(sorted(CODECS)), st.integers(0, 12), st.booleans())
def test_what_is_small_is_read_as_it_was_written(
    batches: list[list[Record]], codec: str, first: int, check_each: bool
) -> None:
    data, base = b"", 0
    for some in batches:
        data += batch(some, codec, base)
        base += len(some)
    said = bounded(data, first, 1 << 20, check_each=check_each)
    assert [one for one in read(said) if one[0] >= first] == [one for one in read(data) if one[0] >= first]
    assert next_offset(said) == base
    assert check_each or said is data


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("part", ["key", "value", "header", "headers"])
def test_a_record_that_is_too_large_is_set_aside_and_its_neighbours_are_not(codec: str, part: str) -> None:
    huge = b"a" * 3_000_000
    large: Record = {
        "key": (huge, b"v", []),
        "value": (b"k", huge, [("h", b"1")]),
        "header": (b"k", b"v", [("h", huge)]),
        "headers": (b"k", b"v", [("h", b"1")] * 500_000),
    }[part]  # type: ignore[assignment]
    small: Record = (b"k", b"{}", [("h", None)])
    data = batch([small, large, small], codec, 7) + batch([small], codec, 10)
    found = read(bounded(data, 7, 8 << 20))
    assert [offset for offset, _ in found] == [7, 8, 9, 10]
    assert [record for offset, record in found if offset != 8] == [(b"k", b"{}", [("h", None)])] * 3
    key, value, headers = found[1][1]
    why = set_aside(headers)
    assert why is not None
    assert why.reason is Reason.TOO_LARGE
    assert "bytes" in why.detail
    assert sum(map(len, [key, value, *(content or b"" for _, content in headers)])) < 200_000
    assert (key[:1], value[:1]) == ((large[0] or b"")[:1], (large[1] or b"")[:1])


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_batch_of_many_is_cut_and_goes_on_in_its_middle(codec: str) -> None:
    data = batch([(b"%d" % number, b"x" * 100_000, []) for number in range(30)], codec)
    at, found = 0, []
    while at < 30:
        said = bounded(data, at, 1_000_000)
        some = [one for one in read(said) if one[0] >= at]
        assert 0 < sum(len(record[1]) for _, record in some) <= 1_100_000
        found += some
        at = next_offset(said) or 0
    assert found == read(data)


def test_batches_beyond_the_limit_wait_for_the_next_fetch() -> None:
    data = b"".join(batch([(b"k", b"x" * 4_000, [])], "lz4", number) for number in range(9))
    said = bounded(data, 0, 20_000)
    assert [offset for offset, _ in read(said)] == [0, 1, 2, 3]
    assert next_offset(said) == 4


def test_memory_is_bounded_whatever_a_record_decompresses_to() -> None:
    data = batch([(b"k", b"{}", []), (b"k", b"x" * 200_000_000, []), (b"k", b"{}", [])], "zstd")
    tracemalloc.start()
    found = read(bounded(data, 0, 8 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [offset for offset, _ in found] == [0, 1, 2]
    assert peak < 64 << 20


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_a_header_whose_name_is_no_utf8_is_set_aside_with_what_can_be_read(codec: str) -> None:
    found = read(bounded(with_bad_name(codec), 0, 1 << 20, check_each=True))
    assert [record[:2] for _, record in found] == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
    (name, why), (kept, content) = found[1][1][2]
    assert (name, kept, content) == (SET_ASIDE_HEADER, r"\xff\xfename", b"content")
    assert why.startswith(b"unreadable ")
    assert found[0][1][2] == found[2][1][2] == []


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_what_cannot_be_decompressed_is_set_aside_by_its_offsets(codec: str) -> None:
    data = bytearray(batch([(b"k", b"x" * 500, [])] * 3, codec, 5))
    data[61:] = b"\xff" * (len(data) - 61)
    found = read(bounded(sealed(bytes(data)), 6, 1 << 20))
    assert [offset for offset, _ in found] == [6, 7]
    for _, (key, value, headers) in found:
        assert (key, value) == (None, None)
        why = set_aside(headers)
        assert why is not None
        assert why.reason is Reason.UNREADABLE


@settings(max_examples=300)
@given(st.sampled_from(sorted(CODECS)), st.binary(min_size=1, max_size=9), st.integers(61, 200))
def test_records_that_make_no_sense_are_set_aside_and_nothing_is_raised(codec: str, put: bytes, at: int) -> None:
    data = bytearray(batch([(b"k%d" % number, b"x" * 50, []) for number in range(4)], codec))
    data[at : at + len(put)] = put[: max(0, len(data) - at)]
    said = bounded(sealed(bytes(data)), 0, 1 << 20, check_each=True)
    assert next_offset(said) == 4
    read(said)


def test_a_batch_with_a_wrong_checksum_is_left_to_the_client() -> None:
    damaged = with_bad_name()[:-1] + b"?"
    assert bounded(damaged, 0, 1 << 20, check_each=True) == damaged


def test_the_limit_of_a_record_is_exact() -> None:
    overhead = len(batch([(b"k", b"", [])])) - 61 + 1  # the length of so long a value has two digits more, its own one
    for size, is_set_aside in ((RECORD_MAX_BYTES - overhead, False), (RECORD_MAX_BYTES + 1, True)):
        ((_, (_, value, headers)),) = read(bounded(batch([(b"k", b"x" * size, [])], "gzip"), 0, 8 << 20))
        assert (set_aside(headers) is not None) is is_set_aside
        assert is_set_aside or len(value) == size


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_where_a_damaged_batch_is_cut_does_not_change_what_is_read_of_it(codec: str) -> None:
    noise = random.Random(1)
    written = [(b"k", noise.randbytes(100_000), []) for _ in range(40)]
    data = bytearray(batch(written, codec))
    middle = len(data) * 3 // 4
    data[middle : middle + 64] = b"\xff" * 64
    found = []
    for limit in (600_000, 8 << 20):
        at, records = 0, []
        while at < len(written):
            said = bounded(sealed(bytes(data)), at, limit, check_each=True)
            records += [one for one in read(said) if one[0] >= at]
            at = next_offset(said) or 0
        found.append(records)
    assert found[0] == found[1]
    assert {set_aside(record[2]) is None for _, record in found[0]} >= {False}
