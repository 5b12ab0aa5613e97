"""Asks at a fixed rate, whether answers come or not: an answer's time counts from when its question was due.

So a server that stalls is charged for everybody who would have come meanwhile (no coordinated omission). The first
seconds do not count: a client that connects is as slow as that whatever the server does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import httpx

from bench.common import percentile_ms

TIMEOUT_S = 30.0
CONNECTIONS = 200
UNCOUNTED_S = 3.0

Question = Callable[[int], Awaitable[bool]]  # asks for the nth time; whether it was answered


@dataclass(frozen=True)
class Asked:
    """One kind of question, and how often a second it is asked."""

    name: str
    ask: Question
    rate: float


@dataclass
class Answers:
    """The times of the answers to one kind, from when each was due."""

    took_s: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def figures(self) -> dict[str, float]:
        """For the result."""
        return {
            "asked": len(self.took_s),
            "failed": self.failed,
            "p50_ms": percentile_ms(self.took_s, 50),
            "p99_ms": percentile_ms(self.took_s, 99),
            "max_ms": round(max(self.took_s) * 1000, 1),
        }


async def ask_steadily(kinds: Sequence[Asked], seconds: float) -> dict[str, Answers]:
    """All kinds at once, evenly spread."""
    uncounted = {kind.name: Answers() for kind in kinds}
    began = perf_counter() + 0.1
    found = {kind.name: Answers() for kind in kinds}
    async with asyncio.TaskGroup() as tasks:
        for place, kind in enumerate(kinds):
            shift = place / len(kinds) / kind.rate
            first = round(kind.rate * UNCOUNTED_S)
            for number in range(first + max(2, round(kind.rate * seconds))):
                answers = found if number >= first else uncounted
                tasks.create_task(_ask(kind, number, began + shift + number / kind.rate, answers[kind.name]))
    return found


async def _ask(kind: Asked, number: int, due: float, answers: Answers) -> None:
    await asyncio.sleep(max(0.0, due - perf_counter()))
    try:
        answered = await kind.ask(number)
    except (httpx.HTTPError, OSError):
        answered = False
    answers.failed += not answered
    answers.took_s.append(perf_counter() - due)


def client_of(url: str) -> httpx.AsyncClient:
    """A client with as many connections as a server that stalls needs."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits)


def page(client: httpx.AsyncClient, path_of: Callable[[int], str]) -> Question:
    """A page for each number; answered is what is 200."""

    async def ask(number: int) -> bool:
        return (await client.get(path_of(number))).status_code == httpx.codes.OK

    return ask
