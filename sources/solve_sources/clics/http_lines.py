"""Bytes of an HTTP response as lines and as objects of an array, in bounded memory whatever the server sends."""

import asyncio
import codecs
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import httpx

from solve_runtime.tasks import cancel_and_wait, retrieve
from solve_sources.errors import FeedError

PIECE_BYTES = 64 * 1024
GZIP = zlib.MAX_WBITS | 16


class Malformed(Exception):
    """What the server sent is not what it says it is; it may do better at the next attempt."""


class _Lines:
    """Splits bytes into lines. What follows the last newline is no line until its own newline comes."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.rest = bytearray()

    def of(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that end in this chunk. Raises FeedError where one is longer than allowed."""
        first, *others = chunk.split(b"\n")
        self.rest += first
        self._require_length()
        for piece in others:
            yield bytes(self.rest).strip()
            self.rest = bytearray(piece)
            self._require_length()

    def _require_length(self) -> None:
        if len(self.rest) > self._longest:
            raise FeedError(
                f"the feed has a line of more than {self._longest:,} bytes, beginning {bytes(self.rest[:80])!r}; "
                "that is no feed that can be followed"
            )


async def lines_and_lulls(
    response: httpx.Response, lulls_s: Sequence[float], longest: int
) -> AsyncGenerator[bytes | float, None]:
    """Each line, empty ones too, and each of `lulls_s` (growing) in which nothing came.

    What has no newline is a line only at the end of a response that was not cut, and only if it is whole JSON, or no
    beginning of it.
    Raises Malformed, and FeedError at a line of more than `longest` bytes.
    """
    lines = _Lines(longest)
    async with aclosing(with_lulls(decompressed(response), lulls_s)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, float):
                yield chunk
                continue
            for line in lines.of(chunk):
                yield line
    rest = bytes(lines.rest).strip()
    if rest and (not rest.startswith(b"{") or parsed(rest) is not None):
        yield rest


def parsed(line: bytes | bytearray) -> Any:
    """The JSON of a line; None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


async def decompressed(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body. Of gzip, no more than `PIECE_BYTES` at a time, so that a small body cannot fill the memory.

    httpx would decompress each piece whole. Raises Malformed where the compression is broken, cut or not asked for.
    """
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        async for chunk in response.aiter_raw():
            yield chunk
        return
    if coding not in ("gzip", "x-gzip"):
        raise Malformed("it answers in a compression that was not asked for")
    inflater, between = zlib.decompressobj(GZIP), True
    try:
        async for chunk in response.aiter_raw():
            rest, between = chunk, between and not chunk
            while rest:
                yield inflater.decompress(rest, PIECE_BYTES)
                rest = inflater.unconsumed_tail
                if inflater.eof:  # one member after another is gzip too
                    rest, inflater = inflater.unused_data, zlib.decompressobj(GZIP)
                    between = not rest
            while piece := inflater.decompress(b"", PIECE_BYTES):
                yield piece
    except zlib.error as error:
        raise Malformed(f"its gzip is broken: {error}") from None
    if not between:
        raise Malformed("its gzip ends too early")


async def with_lulls(chunks: AsyncIterator[bytes], after_s: Sequence[float]) -> AsyncGenerator[bytes | float, None]:
    """The chunks as they come, and between two of them each of `after_s` (growing) in which nothing came."""
    coming: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            coming = asyncio.create_task(_next(chunks))
            waited = 0.0
            for lull in after_s:
                if (await asyncio.wait([coming], timeout=lull - waited))[0]:
                    break
                yield lull
                waited = lull
            chunk = await coming
            if chunk is None:
                return
            yield chunk
    finally:
        if coming is not None and not coming.done():
            await cancel_and_wait([coming])
            retrieve(coming)


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def objects(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[dict[str, Any]]:
    """The objects of a JSON array, one by one. Raises Malformed where it is none, or ends too early."""
    text, started, decoder = "", False, codecs.getincrementaldecoder("utf-8")("replace")
    parse = json.JSONDecoder().raw_decode
    async for chunk in chunks:
        text += decoder.decode(chunk)
        while text := text.lstrip(" \t\r\n," if started else " \t\r\n\ufeff"):
            if not started and text[0] == "[":
                text, started = text[1:], True
            elif started and text[0] == "]":
                return
            elif not started or text[0] != "{":
                raise Malformed("it is no JSON array of objects")
            else:
                try:
                    found, end = parse(text)
                except (ValueError, RecursionError):  # its end may be still to come
                    if len(text) > longest:
                        raise Malformed("it has an object that is broken or too long") from None
                    break
                yield found
                text = text[end:]
    raise Malformed("its JSON ends too early")
