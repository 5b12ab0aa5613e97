"""Halving what PostgreSQL ends over its time, whatever asyncpg makes of the end."""

from collections.abc import Sequence

import asyncpg
import pytest

from solve_projector.store.halving import in_halves


async def test_an_end_between_two_statements_halves_as_one_inside_a_statement() -> None:
    """Not made for real: asyncpg says this only if the end arrives in the one turn of the loop between the two."""
    applied: list[int] = []

    async def apply(items: Sequence[int]) -> None:
        if len(items) > 2:
            raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
        applied.extend(items)

    async def on_refused(item: int, refusal: BaseException) -> None:
        raise AssertionError(item) from refusal

    await in_halves(range(9), apply, on_refused, slow_too=True)
    assert applied == list(range(9))
    with pytest.raises(asyncpg.InternalClientError):
        await in_halves(range(9), apply, on_refused)
