"""How does a test wait? For a condition, never for a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")
PATIENCE_S = 90.0


async def until(
    condition: Callable[[], Answer | Awaitable[Answer]], what: str = "", timeout_s: float = PATIENCE_S
) -> Answer:
    """The condition's first true answer. A timeout here is a failure, whatever the machine's speed."""
    answer: object = None
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                answer = condition()
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer:
                    return answer  # type: ignore[return-value]
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(
            f"waited {timeout_s:.0f} s in vain for {what or condition}; last answer {answer!r}"
        ) from None
