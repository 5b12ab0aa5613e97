"""Decompresses record batches in bounded steps, whatever they would decompress to.

The Kafka client's own decompression gives the whole at once. Codecs: https://kafka.apache.org/documentation/#recordbatch
"""

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, BinaryIO, cast

import cramjam
import lz4.frame
import zstandard

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
# A stream keeps this much of what it has written; Kafka's own clients need 8 MiB at most.
ZSTD_WINDOW_MAX_BYTES = 32 * 1024 * 1024
SNAPPY_BLOCK_MAX_BYTES = 64 * 1024 * 1024
STEP_BYTES = 256 * 1024
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, zlib.error, zstandard.ZstdError, cramjam.DecompressionError)


class _Blocks(io.RawIOBase):
    """A stream of bytes that come in blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._block = memoryview(block)
        found = self._block[: len(buffer)]
        buffer[: len(found)] = found
        self._block = self._block[len(found) :]
        return len(found)


def decompressed(codec: int, packed: memoryview, max_bytes: int) -> tuple[int, BinaryIO]:
    """How many bytes come out, at most a step more than `max_bytes`, and a stream of all of them.

    Damaged bytes count as more than `max_bytes`: the stream gives what comes out before the damage, whatever
    `max_bytes` is, and then raises ValueError.
    """
    if codec == LZ4 and (whole := _lz4_at_once(packed, max_bytes)) is not None:
        return len(whole), io.BytesIO(whole)
    blocks = _steps(codec, packed)
    head: list[bytes] = []
    size = 0
    try:
        for block in blocks:
            head.append(block)
            size += len(block)
            if size > max_bytes:
                return size, _stream(chain(head, blocks))
    except ValueError as damage:
        return max_bytes + 1, _stream(chain(head, _raising(damage)))
    return size, io.BytesIO(b"".join(head))


def _steps(codec: int, packed: memoryview) -> Iterator[bytes]:
    """What comes out, in steps whose places do not depend on who asks. Raises ValueError."""
    try:
        stream = _STREAMS[codec](packed)
        while block := stream.read(STEP_BYTES):
            yield block
    except (KeyError, *_DAMAGED) as error:
        raise ValueError("its batch cannot be decompressed") from error


def _raising(error: Exception) -> Iterator[bytes]:
    raise error
    yield b""  # which makes it an iterator


def _stream(blocks: Iterator[bytes]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Blocks(blocks)))


def _gzip(packed: memoryview) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=io.BytesIO(packed)))


def _lz4_at_once(packed: memoryview, max_bytes: int) -> bytes | None:
    """What most clients send, in a tenth of the stream's time; None where it is too large for that."""
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        found: bytes = decompressor.decompress(packed, max_bytes + 1)
    except RuntimeError:
        return None
    return found if decompressor.eof and len(found) <= max_bytes else None


def _lz4(packed: memoryview) -> BinaryIO:
    return cast("BinaryIO", lz4.frame.LZ4FrameFile(io.BytesIO(packed)))


def _zstd(packed: memoryview) -> BinaryIO:
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX_BYTES)
    return io.BufferedReader(decompressor.stream_reader(io.BytesIO(packed), read_across_frames=True))


def _snappy(packed: memoryview) -> BinaryIO:
    return _stream(_snappy_blocks(packed))


def _snappy_blocks(packed: memoryview) -> Iterator[bytes]:
    """The blocks of snappy-java's frame, or the one block of a client that writes none."""
    if packed[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        yield _snappy_block(packed)
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(packed):
        (size,) = struct.unpack_from(">i", packed, at)
        at += 4
        if size <= 0:  # or a damaged length would be read again and again
            raise ValueError("a block of snappy has no length")
        yield _snappy_block(packed[at : at + size])
        at += size


def _snappy_block(block: memoryview) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > SNAPPY_BLOCK_MAX_BYTES:
        raise ValueError("a block of snappy is too large")
    return bytes(cramjam.snappy.decompress_raw(block))


_STREAMS: dict[int, Callable[[memoryview], BinaryIO]] = {GZIP: _gzip, SNAPPY: _snappy, LZ4: _lz4, ZSTD: _zstd}
