"""Reads request bodies in bounded memory: whole up to a limit, or line by line as they come."""

from collections.abc import AsyncIterable, AsyncIterator

from solve_gateway.messages import EVENT_MAX_BYTES, UTF8_BOM
from solve_runtime.http.problem import Problem

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
    """The body. Raises Problem."""
    found = bytearray()
    async for chunk in chunks:
        if len(found) + len(chunk) > max_bytes:
            raise body_too_large(max_bytes)
        found += chunk
    return bytes(found)


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
