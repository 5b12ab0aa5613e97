"""Reads the records of one batch from a stream, in bounded steps, and encodes them again.

Layout: https://kafka.apache.org/documentation/#record
"""

from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

from solve_projector.log.decompression import STEP_BYTES
from solve_schemas.rejection import SET_ASIDE_HEADER, Reason

PART_MAX_BYTES = 64 * 1024  # what is kept of a part that is too large
HEADERS_MAX = 100
HEADER_MAX_BYTES = 1024
DAMAGED = "its batch is damaged"

_Headers = Sequence[tuple[bytes, bytes | None]]


class RecordStream:
    """The records of a batch, one after the other. Raises EOFError and ValueError where they end or make no sense."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._read = 0

    def begin_record(self) -> tuple[int, int, int, int]:
        """Length, timestamp delta and offset delta of the next record, and how many bytes it has left."""
        length = self._varint()
        begin = self._read
        self.skip(1)  # attributes, of which there are none yet
        timestamp_delta, offset_delta = self._varint(), self._varint()
        rest = length - (self._read - begin)
        if rest < 0 or offset_delta < 0:
            raise ValueError(DAMAGED)
        return length, timestamp_delta, offset_delta, rest

    def longest(self, count: int) -> int:
        """Reads the lengths of so many records, and gives the greatest."""
        longest = 0
        for _ in range(count):
            length = self._varint()
            longest = max(longest, length)
            self.skip(length)
        return longest

    def skip(self, count: int) -> None:
        """Reads bytes and forgets them."""
        while count > 0:
            count -= len(self._take(min(count, STEP_BYTES)))

    def whole(self, rest: int, *, check_each: bool) -> bytes:
        """The record's parts as they are; with `check_each`, set aside where a header's name is no UTF-8."""
        parts = self._take(rest)
        if not check_each:
            return parts
        key, value, headers = RecordStream(BytesIO(parts))._parts(rest)
        if all(_is_utf8(name) for name, _ in headers):
            return parts
        why = f"{Reason.UNREADABLE} a header's name is not UTF-8; it is kept with backslashes"
        return encode_parts(key, value, [(SET_ASIDE_HEADER.encode(), why.encode()), *_readable(headers)])

    def clipped(self, rest: int, why: str) -> bytes:
        """The beginning of each of the record's parts, with the reason why it is set aside."""
        key, value, headers = self._parts(rest, part_max=PART_MAX_BYTES, headers_max=HEADERS_MAX)
        return encode_parts(key, value, [(SET_ASIDE_HEADER.encode(), why.encode()), *_readable(headers)])

    def _parts(
        self, rest: int, *, part_max: int | None = None, headers_max: int | None = None
    ) -> tuple[bytes | None, bytes | None, _Headers]:
        end = self._read + rest
        key = self._part(part_max)
        value = self._part(part_max)
        headers = []
        count = self._varint()
        if count < 0:
            raise ValueError(DAMAGED)
        for _ in range(count if headers_max is None else min(count, headers_max)):
            header_max = None if part_max is None else HEADER_MAX_BYTES
            name = self._part(header_max)
            if name is None:
                raise ValueError(DAMAGED)
            headers.append((name, self._part(header_max)))
        left = end - self._read
        if left < 0 or (left and headers_max is None):
            raise ValueError(DAMAGED)
        self.skip(left)
        return key, value, headers

    def _part(self, max_bytes: int | None) -> bytes | None:
        size = self._varint()
        if size == -1:
            return None
        if size < 0:
            raise ValueError(DAMAGED)
        kept = self._take(size if max_bytes is None else min(size, max_bytes))
        self.skip(size - len(kept))
        return kept

    def _take(self, count: int) -> bytes:
        found = self._source.read(count)
        if len(found) < count:
            raise EOFError("its batch ends too early")
        self._read += count
        return found

    def _varint(self) -> int:
        """Zigzag: https://protobuf.dev/programming-guides/encoding/#signed-ints."""
        value = shift = 0
        while True:
            (byte,) = self._take(1)
            value |= (byte & 0x7F) << shift
            if value >> 64:
                raise ValueError(DAMAGED)
            if not byte & 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7


def encode_parts(key: bytes | None, value: bytes | None, headers: _Headers) -> bytes:
    """Key, value and headers as they stand in a record."""
    parts = [_encode_part(key), _encode_part(value), _encode_varint(len(headers))]
    for name, content in headers:
        parts += [_encode_part(name), _encode_part(content)]
    return b"".join(parts)


def encode_record(timestamp_delta: int, offset_delta: int, parts: bytes) -> bytes:
    """A record as it stands in a batch."""
    record = b"\x00" + _encode_varint(timestamp_delta) + _encode_varint(offset_delta) + parts
    return _encode_varint(len(record)) + record


def _encode_part(part: bytes | None) -> bytes:
    return _encode_varint(-1) if part is None else _encode_varint(len(part)) + part


def _encode_varint(value: int) -> bytes:
    zigzag = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while zigzag > 0x7F:
        encoded.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    encoded.append(zigzag)
    return bytes(encoded)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _readable(headers: _Headers) -> list[tuple[bytes, bytes | None]]:
    return [(name.decode("utf-8", "backslashreplace").encode(), content) for name, content in headers]
