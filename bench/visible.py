"""Measures from the moment a solve should be published to the event that a listener of an open page reads.

An event is timed from when it was due, not from when it was sent, so that a stall counts against everything after it.
A later count stands for the earlier ones: solves of one user in a row may be reported together.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count, islice
from random import Random
from time import perf_counter
from typing import Any

from bench.common import percentile_ms
from bench.listener import Listener
from bench.processes import running
from solve_producer.client import SolveProducer
from solve_runtime.console import progress_bar
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import SubmissionSolved

WATCHED_SHARE = 0.1
PIECE_S = 0.01
WARM_UP_S = 2.0
PATIENCE_S = 30.0
POLL_S = 0.01


class Watch:
    """What was published of each watched user and not heard yet."""

    def __init__(self) -> None:
        self.took_s: list[float] = []
        self.late_s = 0.0
        self._counts: dict[str, int] = {}  # with everything that was published
        self._waiting: defaultdict[str, deque[tuple[int, float]]] = defaultdict(deque)

    def publish(self, user_id: str, due: float) -> None:
        """One more solve, of a problem that the user had not solved; of others than the watched nothing is kept."""
        if user_id in self._counts:
            self._counts[user_id] += 1
            self._waiting[user_id].append((self._counts[user_id], due))

    def hear(self, user_id: str, solved: int) -> None:
        """As a stream says it; the first time, before anything is published."""
        self._counts.setdefault(user_id, solved)
        now, waiting = perf_counter(), self._waiting[user_id]
        while waiting and waiting[0][0] <= solved:
            self.took_s.append(now - waiting.popleft()[1])

    async def until_started(self, users: int) -> None:
        """Until each watched user was heard of."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self._counts) < users:  # noqa: ASYNC110 - the listeners' tasks move it
                await asyncio.sleep(POLL_S)

    async def until_heard(self) -> int:
        """Until nothing waits, or in vain; how many were not heard."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while any(self._waiting.values()):  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(POLL_S)
        return sum(map(len, self._waiting.values()))


async def measure_visible(
    url: str, connection: KafkaConnection, users: int, streams: int, rate: int, seconds: float
) -> dict[str, Any]:
    """Milliseconds from due to heard, of the watched users' solves."""
    watch = Watch()
    watched = [f"user-{number * users // streams}" for number in range(streams)]
    listeners = [Listener(user_id, watch.hear) for user_id in watched]
    async with running("solve_projector", "run"), SolveProducer(connection) as producer, _listening(listeners, url):
        await watch.until_started(streams)
        solves = _solves(watched, users)
        await _publish(producer, watch, solves, rate, WARM_UP_S)  # the projector joins its group meanwhile
        if await watch.until_heard():
            raise SystemExit("the projector did not begin")
        watch.took_s.clear()
        watch.late_s, boards = 0.0, sum(one.boards for one in listeners)
        with progress_bar("publishing", round(rate * seconds)) as bar:
            await _publish(producer, watch, solves, rate, seconds, bar)
        if unheard := await watch.until_heard():
            raise SystemExit(f"{unheard} solves were not seen within {PATIENCE_S:.0f} s")
        boards = sum(one.boards for one in listeners) - boards
    return {
        "events_per_s": rate,
        "streams": streams,
        "solves_heard": len(watch.took_s),
        "p50_ms": percentile_ms(watch.took_s, 50),
        "p99_ms": percentile_ms(watch.took_s, 99),
        "max_ms": round(max(watch.took_s) * 1000, 1),
        "sent_late_at_most_ms": round(watch.late_s * 1000, 1),
        "board_events_per_stream_and_s": round(boards / streams / seconds, 1),
    }


@asynccontextmanager
async def _listening(listeners: list[Listener], url: str) -> AsyncIterator[None]:
    """Every stream is open in the block; one that breaks ends it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.listen(url)) for one in listeners]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _solves(watched: list[str], users: int) -> Iterator[SubmissionSolved]:
    """Without an end; each of a problem that nobody has solved before."""
    rng = Random(7)
    started = datetime.now(UTC)
    for number in count():
        user_id = rng.choice(watched) if rng.random() < WATCHED_SHARE else f"user-{rng.randrange(users)}"
        name = f"live-{started:%H%M%S}-{number}"
        yield SubmissionSolved(submission_id=name, user_id=user_id, problem_id=name, judged_at=datetime.now(UTC))


async def _publish(
    producer: SolveProducer,
    watch: Watch,
    solves: Iterator[SubmissionSolved],
    rate: int,
    seconds: float,
    bar: Any = lambda _more: None,
) -> None:
    """At a steady rate, in small pieces; none waits for the broker to have the one before."""
    started, total, sent = perf_counter(), round(rate * seconds), 0
    async with asyncio.TaskGroup() as group:
        while sent < total:
            due = started + sent / rate
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            watch.late_s = max(watch.late_s, perf_counter() - due)
            piece = list(islice(solves, min(max(1, round(rate * PIECE_S)), total - sent)))
            for solve in piece:
                watch.publish(solve.user_id, due)
            group.create_task(producer.publish(piece))
            sent += len(piece)
            bar(len(piece))
