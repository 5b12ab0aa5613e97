"""Questions of concurrent requests, asked together: nobody gets what was read before, and nobody waits for ever."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_api import batches
from solve_api.batches import Batches
from tests.waiting import until


class Server:
    """Answers with the number of changes so far; a round trip lasts until `gate` opens."""

    def __init__(self) -> None:
        self.changes = 0
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def answer(self, questions: Sequence[str]) -> list[tuple[str, int]]:
        self.asked.append(list(questions))
        seen = self.changes  # as a snapshot: at the beginning
        await self.gate.wait()
        if self.error:
            raise self.error
        return [(one, seen) for one in questions]


@given(
    st.lists(st.sampled_from(["ask", "change", "turn", "answer"]), max_size=40), st.integers(1, 3), st.integers(1, 3)
)
async def test_no_answer_is_older_than_its_question(steps: list[str], largest: int, at_once: int) -> None:
    server = Server()
    together = Batches(server.answer, largest=largest, at_once=at_once)
    asked: list[tuple[int, str, asyncio.Task[tuple[str, int]]]] = []
    for number, step in enumerate(steps):
        if step == "ask":
            asked.append((server.changes, str(number), asyncio.create_task(together.ask(str(number)))))
        elif step == "change":
            server.changes += 1
        elif step == "answer":
            server.gate.set()
            await asyncio.sleep(0)
            server.gate = asyncio.Event()
        await asyncio.sleep(0)
    server.gate.set()
    while not all(task.done() for _, _, task in asked):
        server.gate.set()
        await asyncio.sleep(0)
    for at_least, name, task in asked:
        question, seen = task.result()
        assert question == name
        assert seen >= at_least
    assert all(len(one) <= largest for one in server.asked)


async def test_questions_gather_beside_a_round_trip_and_leave_without_whoever_went() -> None:
    server = Server()
    together = Batches(server.answer, largest=10, at_once=1)
    first = asyncio.create_task(together.ask("first"))
    await until(lambda: asyncio.sleep(0, len(server.asked) == 1), "the first round trip")
    others = [asyncio.create_task(together.ask(str(n))) for n in range(4)]
    await asyncio.sleep(0)
    others[1].cancel()
    server.gate.set()
    await asyncio.gather(first, *others, return_exceptions=True)
    assert server.asked == [["first"], ["0", "2", "3"]]


async def test_a_failed_round_trip_fails_those_who_wait_and_nobody_after_them() -> None:
    server = Server()
    server.error = OSError("gone")
    together = Batches(server.answer, largest=1, at_once=1)
    failing = [asyncio.create_task(together.ask(str(n))) for n in range(3)]
    await asyncio.sleep(0)
    server.gate.set()
    found = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(one) for one in found] == [OSError] * 3
    assert len(server.asked) == 1
    server.error = None
    assert await together.ask("again") == ("again", 0)


async def test_beside_a_round_trip_that_takes_long_another_begins() -> None:
    server = Server()
    together = Batches(server.answer, largest=2, at_once=2)
    slow = [asyncio.create_task(together.ask(str(n))) for n in range(2)]
    await until(lambda: asyncio.sleep(0, len(server.asked) == 1), "the slow one to begin")
    held, server.gate = server.gate, asyncio.Event()
    server.gate.set()
    assert await together.ask("quick") == ("quick", 0)
    assert not any(one.done() for one in slow)
    held.set()
    await asyncio.gather(*slow)


async def test_who_waits_as_long_as_for_a_connection_gets_the_error_that_nothing_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "ACQUIRE_TIMEOUT_S", 0.02)
    server = Server()
    together = Batches(server.answer, largest=1, at_once=1)
    stuck = asyncio.create_task(together.ask("stuck"))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await together.ask("waits")
    server.gate.set()
    assert await stuck == ("stuck", 0)
    assert server.asked == [["stuck"]]
