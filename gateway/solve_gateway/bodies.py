"""Reads request bodies in bounded memory: whole up to a limit, line by line as they come, or an array's elements.

None keeps other requests waiting: who reads for long lets them in between.
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator

from solve_gateway.messages import EVENT_MAX_BYTES, UTF8_BOM
from solve_runtime.http.problem import Problem

STEPS_AT_ONCE = 1_000
BLANKS = b" \t\r\n"
_AT_TOP = re.compile(rb'"[^"\\]*"|["\[\]{},]')
_INSIDE = re.compile(rb'"[^"\\]*"|["\[\]{}]')
_IN_STRING = re.compile(rb'\\.|"', re.DOTALL)
Chunks = AsyncIterable[bytes]


def body_too_large(max_bytes: int) -> Problem:
    """The problem of a body that is not read to its end."""
    return Problem(
        413,
        "body-too-large",
        "The request is too large",
        f"A request body may have {max_bytes} bytes here; send less at once.",
    )


async def whole(chunks: Chunks, max_bytes: int) -> bytes:
    """The body, without the mark that some programs put before UTF-8. Raises Problem."""
    found = bytearray()
    async for chunk in chunks:
        if len(found) + len(chunk) > max_bytes:
            raise body_too_large(max_bytes)
        found += chunk
    return bytes(found.removeprefix(UTF8_BOM))


async def lines(chunks: Chunks, max_bytes: int) -> AsyncIterator[bytes]:
    """Each line that is not blank, cut off after one byte too many for an event. Raises Problem."""
    rest, size, is_first = b"", 0, True
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise body_too_large(max_bytes)
        *complete, last = chunk.split(b"\n")
        for piece in complete:
            line = rest + piece[: EVENT_MAX_BYTES + 1]
            rest = b""
            if is_first:
                line, is_first = line.removeprefix(UTF8_BOM), False
            if line.strip():
                yield line
        rest = (rest + last)[: EVENT_MAX_BYTES + 1]
    if rest.removeprefix(UTF8_BOM).strip():
        yield rest.removeprefix(UTF8_BOM) if is_first else rest


async def elements(body: bytes) -> AsyncIterator[bytes]:
    """The text of each element of a JSON array, cut off after one byte too many for an event.

    Raises ValueError where it is no array. The text and not the value: of two fields of one name a parser keeps the
    last, and the first may say the opposite; and an element may be made to cost a hundred times its bytes. Whether each
    is JSON is for its reader to find.
    """
    text = body.strip(BLANKS)
    if text[:1] != b"[":
        raise ValueError("no array")
    start = 1
    async for end, mark in _marks(text):
        element, is_last = text[start:end].strip(BLANKS), mark != b","
        if is_last and text[end:] != b"]":
            raise ValueError("more after the array")
        if element:
            yield element[: EVENT_MAX_BYTES + 1]
        elif start > 1 or not is_last:
            raise ValueError("no element")
        if is_last:
            return
        start = end + 1
    raise ValueError("no end")


async def _marks(text: bytes) -> AsyncIterator[tuple[int, bytes]]:
    """Where the commas of the array itself are and the bracket that ends it, in strings and brackets none."""
    position, depth, steps, in_string = 1, 0, 0, False
    while found := (_IN_STRING if in_string else _INSIDE if depth else _AT_TOP).search(text, position):
        steps += 1
        if not steps % STEPS_AT_ONCE:
            await asyncio.sleep(0)
        position, mark = found.end(), found[0]
        if mark == b'"':
            in_string = not in_string
        elif mark in {b"[", b"{"}:
            depth += 1
        elif mark in {b"]", b"}"} and depth:
            depth -= 1
        elif mark in {b",", b"]", b"}"}:
            yield found.start(), mark
