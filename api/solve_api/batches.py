"""Asks the questions of concurrent requests in one round trip; none is asked in one that started before it arrived.

A round trip costs as much as ten answers. A question that comes while one is under way waits for the next, with all
that came meanwhile; alone, it goes at once. Beside one that takes long, others begin.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from solve_api.database import ACQUIRE_TIMEOUT_S

Question = TypeVar("Question")
Answer = TypeVar("Answer")

Ask = Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]

LONG_S = 0.005  # what a round trip seldom takes


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Question, Answer]):
    question: Question
    future: "asyncio.Future[Answer]"
    timer: asyncio.TimerHandle | None  # ends the wait

    def begin(self) -> bool:
        """Whether somebody still waits, who from now on does so for the answer."""
        if self.timer:
            self.timer.cancel()
        return not self.future.done()

    def fail(self, error: BaseException) -> None:
        if not self.begin():
            return
        if isinstance(error, Exception):
            self.future.set_exception(error)
        else:
            self.future.cancel()


class Batches(Generic[Question, Answer]):
    """The questions to one server. `ask` answers several in their order, `at_once` round trips at most run."""

    def __init__(self, ask: Ask[Question, Answer], *, largest: int, at_once: int) -> None:
        self._ask = ask
        self._largest = largest
        self._at_once = at_once
        self._waiting: list[_Waiting[Question, Answer]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._begin_later: asyncio.TimerHandle | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer, or the error of its round trip, which those who wait for the next one get too.

        Raises TimeoutError where none begins for as long as a request waits for a connection.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        timer = None
        if not self._running:
            self._begin()
        else:
            timer = loop.call_later(ACQUIRE_TIMEOUT_S, _give_up, future)
            self._begin_later = self._begin_later or loop.call_later(LONG_S, self._begin_beside)
        self._waiting.append(_Waiting(question, future, timer))
        return await future

    def _begin(self) -> None:
        self._running.add(asyncio.get_running_loop().create_task(self._run()))

    def _begin_beside(self) -> None:
        """Starts another if nothing has started since somebody came; until then, questions gather."""
        self._begin_later = None
        if self._waiting and len(self._running) < self._at_once:
            self._begin()

    async def _run(self) -> None:
        """Asks until nobody waits."""
        try:
            while self._waiting:
                await self._ask_next()
        finally:  # not in a callback: whoever asks before it would wait for nobody
            self._running.discard(asyncio.current_task())

    async def _ask_next(self) -> None:
        batch = [one for one in self._waiting[: self._largest] if one.begin()]
        self._waiting = self._waiting[self._largest :]
        if not batch:
            return
        if self._begin_later:
            self._begin_later.cancel()
        loop = asyncio.get_running_loop()
        self._begin_later = loop.call_later(LONG_S, self._begin_beside) if self._waiting else None
        try:
            answers = await self._ask([one.question for one in batch])
        except BaseException as error:
            batch, self._waiting = batch + self._waiting, []
            for one in batch:
                one.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            for one, answer in zip(batch, answers, strict=True):
                if not one.future.done():
                    one.future.set_result(answer)


def _give_up(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(TimeoutError("no round trip began"))
