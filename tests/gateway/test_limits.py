"""The limits of what is held at once, by all and by one token, and callbacks that wait for their turn."""

import asyncio
from contextlib import ExitStack

import pytest

from solve_gateway.limits import InFlight, InTurn
from solve_runtime.http.problem import Problem
from tests.waiting import until


def test_one_token_holds_half_beside_others_and_any_request_fits_alone() -> None:
    shown: list[int] = []
    in_flight = InFlight(100, shown.append)
    with in_flight.held("bulk", 300), pytest.raises(Problem, match="holds as much"), in_flight.held("other", 1):
        pass
    with ExitStack() as held:
        held.enter_context(in_flight.held("bulk", 30))
        with pytest.raises(Problem, match="holds as much"):
            held.enter_context(in_flight.held("bulk", 21))
        held.enter_context(in_flight.held("bulk", 20))
        held.enter_context(in_flight.held("other", 50))
        assert shown[-1] == 100
        with pytest.raises(Problem, match="holds as much"):
            held.enter_context(in_flight.held("third", 1))
    assert shown[-1] == 0


async def test_who_waits_gets_a_turn_and_not_for_ever() -> None:
    in_turn, order = InTurn(1, 60), []

    async def call() -> None:
        async with in_turn.held():
            order.append("called")

    async with in_turn.held():
        waiting = asyncio.create_task(call())
        await until(lambda: in_turn._free._waiters)
        order.append("first")
    await waiting
    assert order == ["first", "called"]
    impatient = InTurn(1, 0)
    async with impatient.held():
        with pytest.raises(Problem, match="holds as much"):
            async with impatient.held():
                pass
    async with impatient.held():
        pass
