"""Finds what PostgreSQL refuses among things that are applied together, so that it does not stop the others (I4)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, took_too_long

Item = TypeVar("Item")


async def in_halves(
    items: Sequence[Item],
    apply: Callable[[Sequence[Item]], Awaitable[object]],
    on_refused: Callable[[Item, BaseException], Awaitable[None]],
    *,
    slow_too: bool = False,
) -> None:
    """Applies all items, or each half where PostgreSQL refuses them over their data; `on_refused` gets a single one.

    With `slow_too` also where the transaction took too long, which ends its connection: `apply` takes one anew.
    Raises the other errors of `apply`, which is one transaction or a few that may be repeated.
    """
    try:
        await apply(items)
    except DATABASE_ERRORS as error:
        # an end that arrives between two statements: asyncpg's next one only says that it cannot be sent
        without_reason = isinstance(error, asyncpg.InternalClientError)
        is_slow = slow_too and (took_too_long(error) or without_reason) and len(items) > 1
        if classify(error) is not Failure.DATA and not is_slow:
            raise
        if len(items) == 1:
            await on_refused(items[0], error)
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            await in_halves(half, apply, on_refused, slow_too=slow_too)
