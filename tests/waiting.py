"""Waiting for a condition, never for a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")
PATIENCE_S = 90.0
POLL_S = 0.05


async def until(
    condition: Callable[[], Found | Awaitable[Found]],
    what: str = "",
    timeout_s: float = PATIENCE_S,
    poll_s: float = POLL_S,
) -> Found:
    """The condition's first true result. A timeout here is a failure, whatever the machine's speed."""
    found: object = None
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = condition()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found  # type: ignore[return-value]
                await asyncio.sleep(poll_s)
    except TimeoutError:
        raise AssertionError(
            f"waited {timeout_s:.0f} s in vain for {what or condition}; last result {found!r}"
        ) from None
