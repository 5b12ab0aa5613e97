"""Decompresses record batches in bounded steps, whatever they would decompress to.

The Kafka client's own decompression gives the whole at once. Codecs: https://kafka.apache.org/documentation/#recordbatch
"""

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
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


class NotDecompressible(Exception):
    """The bytes are not what their codec says, or would need too much memory at once."""


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
    """How many bytes come out, at most one more than `max_bytes`, and a stream of all of them.

    Raises NotDecompressible; the stream raises ValueError where it turns out later.
    """
    try:
        if codec == LZ4 and (whole := _lz4_at_once(packed, max_bytes)) is not None:
            return len(whole), io.BytesIO(whole)
        stream = _STREAMS[codec](packed)
        head = stream.read(max_bytes + 1)
    except KeyError:
        raise NotDecompressible(f"nobody knows codec {codec}") from None
    except _DAMAGED as error:
        raise NotDecompressible(str(error)) from error
    if len(head) <= max_bytes:
        return len(head), io.BytesIO(head)
    return len(head), _stream(_after(head, stream))


def _after(head: bytes, rest: BinaryIO) -> Iterator[bytes]:
    yield head
    try:
        while block := rest.read(STEP_BYTES):
            yield block
    except _DAMAGED as error:
        raise ValueError("its batch cannot be decompressed") from error


def _stream(blocks: Iterator[bytes]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Blocks(blocks)))


def _gzip(packed: memoryview) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=io.BytesIO(packed)))


def _lz4_at_once(packed: memoryview, max_bytes: int) -> bytes | None:
    """What most clients send, in a tenth of the stream's time; None where it is too large for that."""
    decompressor = lz4.frame.LZ4FrameDecompressor()
    found: bytes = decompressor.decompress(packed, max_bytes + 1)
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
        yield _snappy_block(packed[at : at + size])
        at += size


def _snappy_block(block: memoryview) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > SNAPPY_BLOCK_MAX_BYTES:
        raise ValueError("a block of snappy is too large")
    return bytes(cramjam.snappy.decompress_raw(block))


_STREAMS: dict[int, Callable[[memoryview], BinaryIO]] = {GZIP: _gzip, SNAPPY: _snappy, LZ4: _lz4, ZSTD: _zstd}
