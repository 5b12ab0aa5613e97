"""Endless solves of now, by users who solved before, so that pages change while somebody watches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from random import Random

from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import LANGUAGES
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event, SubmissionSolved, UserRegistered

REVOKED = 0.05
RECENT = 200
LAST_S = 1.0


def live_events(season: Iterable[Event], rng: Random) -> Iterator[Event]:
    """Of now: solves by registered users who solved in the season, of problems solved in it, some revoked again.

    Nothing where nobody is registered.
    """
    registered, solvers, problems = set[str](), list[str](), list[str]()
    for event in season:
        if isinstance(event, UserRegistered):
            registered.add(event.user_id)
        elif isinstance(event, SubmissionSolved):
            solvers.append(event.user_id)
            problems.append(event.problem_id)
    solvers = [user_id for user_id in solvers if user_id in registered] or sorted(registered)
    problems = problems or ["problem-1"]
    if not solvers:
        return
    run = f"{rng.randrange(16**6):06x}"  # another run's submissions are others
    recent: list[SubmissionSolved] = []
    for number in count():
        now = datetime.now(UTC)
        if recent and rng.random() < REVOKED:
            yield recent.pop(rng.randrange(len(recent))).revoked(now, "rejudged")
            continue
        solved = SubmissionSolved(
            submission_id=f"live-{run}-{number}",
            user_id=rng.choice(solvers),
            problem_id=rng.choice(problems),
            judged_at=now,
            submitted_at=now,
            language=rng.choice(LANGUAGES),
        )
        recent = [*recent[-RECENT:], solved]
        yield solved


async def publish_live(
    connection: KafkaConnection,
    season: Iterable[Event],
    rate: float,
    stopping: asyncio.Event,
    on_published: Callable[[Event], object] = lambda _: None,
) -> int:
    """About `rate` events a second, each when it happens, until it is stopped. Returns how many the broker has.

    A broker that does not answer delays the stop by a second at most. Raises what SolveProducer raises.
    """
    published = 0
    rng = Random()  # noqa: S311 - a simulation
    with suppress(TimeoutError):
        async with _ended_soon_after(stopping), SolveProducer(connection) as producer:
            for event in live_events(season, rng):
                await producer.publish([event])
                published += 1
                on_published(event)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), rng.expovariate(rate))
                    break
    return published


@asynccontextmanager
async def _ended_soon_after(stopping: asyncio.Event) -> AsyncIterator[None]:
    """Cancels what the block still does a second after the stop. Raises TimeoutError then."""

    async def end() -> None:
        await stopping.wait()
        limit.reschedule(asyncio.get_running_loop().time() + LAST_S)

    async with asyncio.timeout(None) as limit:
        ending = asyncio.create_task(end())
        try:
            yield
        finally:
            ending.cancel()
