"""Turns go round by client: whoever asks for much waits for it alone."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_api.errors import TooManyRequests
from solve_api.ranking.turns import Turn, Turns


def waiting(turns: Turns, client: str, number: int) -> list[Turn]:
    found = [Turn() for _ in range(number)]
    for turn in found:
        turns.join(client, turn)
    return found


async def end(turns: Turns, turn: Turn) -> None:
    async with turns.taken(turn, 1):
        pass


def granted(*turns: Turn) -> list[bool]:
    return [one.granted.is_set() for one in turns]


async def test_the_first_of_another_client_is_among_the_next_two() -> None:
    turns = Turns(2, 40)
    many = waiting(turns, "a", 40)
    (other,) = waiting(turns, "b", 1)
    assert granted(*many[:3], other) == [True, True, False, False]
    await end(turns, many[0])
    await end(turns, many[1])
    assert granted(*many[2:4], other) == [True, False, True]


async def test_who_waits_for_a_turn_of_somebody_else_has_it_in_their_own_row_too() -> None:
    turns = Turns(1, 40)
    many = waiting(turns, "a", 40)
    turns.join("b", many[-1])
    await end(turns, many[0])
    assert granted(many[1], many[-1]) == [True, False]
    await end(turns, many[1])
    assert granted(many[2], many[-1]) == [False, True]


async def test_a_client_waits_for_so_many_and_learns_when_to_come_back() -> None:
    turns = Turns(1, 3)
    first, *rest = waiting(turns, "a", 4)
    with pytest.raises(TooManyRequests, match="try again in 2 seconds") as refused:
        turns.join("a", Turn())
    assert refused.value.retry_after_s == 2
    turns.join("a", rest[0])  # waits for it already
    waiting(turns, "b", 3)
    await end(turns, first)
    turns.join("a", Turn())


async def test_who_gave_up_takes_no_turn() -> None:
    turns = Turns(1, 3)
    first, second, third = waiting(turns, "a", 3)
    with pytest.raises(TimeoutError):
        async with turns.taken(second, 0):
            pytest.fail("it was not granted")
    await end(turns, first)
    assert granted(second, third) == [False, True]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=40), st.integers(1, 3))
def test_every_turn_is_granted_and_never_too_many_at_once(asked: list[tuple[str, int]], at_once: int) -> None:
    async def run() -> None:
        turns, made = Turns(at_once, 40), [Turn() for _ in range(10)]
        running: set[int] = set()

        async def work(number: int) -> None:
            async with turns.taken(made[number], 1):
                running.add(number)
                assert len(running) <= at_once
                await asyncio.sleep(0)
                running.discard(number)

        for client, number in asked:
            turns.join(client, made[number])
        await asyncio.gather(*(work(number) for number in {number for _, number in asked}))

    asyncio.run(run())
