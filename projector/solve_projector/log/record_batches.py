"""Record batches as the broker sends them, rewritten where a record takes too much memory or cannot be read.

A small batch may decompress to gigabytes, and a header's name may be no UTF-8, on which the Kafka client stops. Such a
batch is read in bounded steps: a record that is too large keeps the beginning of its parts, one that cannot be read
keeps what can, and both get a header that makes them dead letters. Their neighbours stay as they are. A batch that is
large because of its number of records is cut; the next fetch begins in its middle.

Layout: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

from aiokafka.record.util import calc_crc32c

from solve_projector.log.decompression import decompressed
from solve_projector.log.record_stream import DAMAGED, RecordStream, encode_parts, encode_record
from solve_schemas.rejection import SET_ASIDE_HEADER, Reason

RECORD_MAX_BYTES = 1024 * 1024
_HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_OVERHEAD = 12
_CRC_BEGINS = 21
_CODEC, _CONTROL = 0x07, 0x20
_FORMAT_2 = 2


class BatchHeader(NamedTuple):
    """The fixed part of a record batch."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int


class _Rewritten(NamedTuple):
    batch: bytes
    is_whole: bool


def bounded(data: bytes, first_offset: int, max_bytes: int, *, check_each: bool = False) -> bytes:
    """The batches of a fetch from `first_offset` that decompress to about `max_bytes` together, and at least one.

    With `check_each` also records whose header names are no UTF-8 are rewritten.
    """
    kept: list[bytes | memoryview] = []
    left = max_bytes
    changed = False
    end = 0
    for begin, end, header in _batches(data):
        raw = memoryview(data)[begin:end]
        if header.magic < _FORMAT_2 or header.attributes & _CONTROL or _last_offset(header) < first_offset:
            kept.append(raw)
            continue
        size, body = _opened(header, raw, left)
        if size > left and kept:
            return b"".join(kept)
        is_doubtful = check_each or size > left or (size > RECORD_MAX_BYTES and _has_large(header, body))
        if is_doubtful and header.crc == calc_crc32c(raw[_CRC_BEGINS:]):  # else the client refuses it by itself
            rewritten = _rewritten(header, body, first_offset, max_bytes, check_each)
            kept.append(rewritten.batch)
            changed = True
            if not rewritten.is_whole:
                return b"".join(kept)
            size = min(size, len(rewritten.batch))
        else:
            kept.append(raw)
        left = max(0, left - size)
    return b"".join([*kept, data[end:]]) if changed else data


def next_offset(data: bytes) -> int | None:
    """The offset after the last whole batch of a fetch; None where there is none."""
    last = None
    for _, _, header in _batches(data):
        last = _last_offset(header) + 1
    return last


def _batches(data: bytes) -> Iterator[tuple[int, int, BatchHeader]]:
    begin = 0
    while begin + _HEADER.size <= len(data):
        header = BatchHeader(*_HEADER.unpack_from(data, begin))
        end = begin + _LENGTH_OVERHEAD + header.length
        if end > len(data) or header.length < 0:
            return  # the client knows what to do with the rest
        yield begin, end, header
        begin = end


def _last_offset(header: BatchHeader) -> int:
    return header.base_offset + header.last_offset_delta


def _opened(header: BatchHeader, raw: memoryview, max_bytes: int) -> tuple[int, BinaryIO]:
    """How large the batch's records are, or more than `max_bytes`, and a stream of them."""
    packed = raw[_HEADER.size :]
    codec = header.attributes & _CODEC
    return decompressed(codec, packed, max_bytes) if codec else (len(packed), BytesIO(packed))


def _has_large(header: BatchHeader, body: BinaryIO) -> bool:
    """Whether a record is too large, or where one ends cannot be seen; reads no more than their lengths."""
    try:
        is_large = RecordStream(body).longest(header.records) > RECORD_MAX_BYTES
    except (ValueError, EOFError):
        is_large = True
    body.seek(0)
    return is_large


def _rewritten(header: BatchHeader, body: BinaryIO, first_offset: int, max_bytes: int, check_each: bool) -> _Rewritten:
    kept = bytearray()
    count = 0
    last = header.last_offset_delta
    for delta, record in _records(header, body, first_offset, check_each):
        if kept and len(kept) + len(record) > max_bytes:
            break
        kept += record
        count += 1
        last = delta
    else:
        return _Rewritten(_batch(header, header.last_offset_delta, count, bytes(kept)), is_whole=True)
    return _Rewritten(_batch(header, last, count, bytes(kept)), is_whole=False)


def _records(header: BatchHeader, body: BinaryIO, first_offset: int, check_each: bool) -> Iterator[tuple[int, bytes]]:
    """Offset delta and bytes of each record from `first_offset` on; what cannot be read is without its content."""
    last = max(first_offset - header.base_offset, 0) - 1
    try:
        for last, record in _readable_records(header, body, first_offset, check_each):
            yield last, record
    except (ValueError, EOFError) as error:
        why = str(error)
    else:
        return
    reason = f"{Reason.UNREADABLE} {why}; the offset is all that is known of the record"
    empty = encode_parts(None, None, [(SET_ASIDE_HEADER.encode(), reason.encode())])
    for missing in range(last + 1, header.last_offset_delta + 1):
        yield missing, encode_record(0, missing, empty)


def _readable_records(
    header: BatchHeader, body: BinaryIO, first_offset: int, check_each: bool
) -> Iterator[tuple[int, bytes]]:
    stream = RecordStream(body)
    for _ in range(header.records):
        length, timestamp_delta, offset_delta, rest = stream.begin_record()
        if offset_delta > header.last_offset_delta:
            raise ValueError(DAMAGED)
        if header.base_offset + offset_delta < first_offset:
            stream.skip(rest)
            continue
        if length > RECORD_MAX_BYTES:
            parts = stream.clipped(
                rest,
                f"{Reason.TOO_LARGE} the record is {length:,} bytes; at most {RECORD_MAX_BYTES:,} are read, and an "
                "event has a few hundred; of its key, value and headers the beginning is kept",
            )
        else:
            parts = stream.whole(rest, check_each=check_each)
        yield offset_delta, encode_record(timestamp_delta, offset_delta, parts)


def _batch(header: BatchHeader, last_offset_delta: int, count: int, records: bytes) -> bytes:
    changed = header._replace(
        length=_HEADER.size - _LENGTH_OVERHEAD + len(records),
        attributes=header.attributes & ~_CODEC,
        last_offset_delta=last_offset_delta,
        records=count,
    )
    crc = calc_crc32c(_HEADER.pack(*changed)[_CRC_BEGINS:] + records)
    return _HEADER.pack(*changed._replace(crc=crc)) + records
