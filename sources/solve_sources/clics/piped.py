"""Follows a feed on standard input: what a pipe has said is published as soon as it pauses.

A feed that is piped anew begins with its past: what an earlier run published is taken back once the pipe is at rest.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from threading import Thread
from time import monotonic

from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_sources.clics.contest import Contest
from solve_sources.clics.feed import FeedChange
from solve_sources.clics.importing import ContestImport, CountedContest, open_contest

PAUSE_S = 0.5
LONGEST_S = 5.0  # a pipe that never pauses is settled this often
REST_S = 3.0  # a pipe that says nothing for so long is not in the middle of a feed's past
CHANGES_WAITING = 10_000


async def follow_pipe(
    changes: Iterator[FeedChange],
    contest: Contest,
    wanted: ContestImport,
    connection: KafkaConnection,
    settings: ProjectorSettings,
) -> CountedContest:
    """Publishes changes as they come, and reconciles the whole at their end. Raises what those raise, and FeedError."""
    async with AsyncExitStack() as stack:
        counted: CountedContest | None = None
        settled_at = said_at = monotonic()
        was_at_rest = False
        async for change in _as_they_come(changes):
            now = monotonic()
            if change is not None:
                contest.apply(change)
                said_at = now
                if now - settled_at < LONGEST_S:
                    continue
            if counted is None and not contest.is_empty and (wanted.reading.contest_id or contest.contest_id):
                counted = await stack.enter_async_context(open_contest(contest, wanted, connection, settings))
            at_rest = now - said_at >= REST_S
            if at_rest and not was_at_rest:
                contest.all_changed = True
            if counted is not None and contest.has_changes():
                await counted.settle(at_rest=at_rest)
                was_at_rest = at_rest
            settled_at = now
        if counted is None:
            counted = await stack.enter_async_context(open_contest(contest, wanted, connection, settings))
        await counted.reconcile()
        return counted
    raise AssertionError("unreachable: the stack swallows nothing")


async def _as_they_come(changes: Iterator[FeedChange]) -> AsyncIterator[FeedChange | None]:
    """Each change, and None whenever there is none for a while."""
    waiting: asyncio.Queue[FeedChange | BaseException | None] = asyncio.Queue(CHANGES_WAITING)
    loop = asyncio.get_running_loop()

    def hand_over(item: FeedChange | BaseException | None) -> None:
        asyncio.run_coroutine_threadsafe(waiting.put(item), loop).result()

    def read() -> None:
        try:
            for change in changes:
                hand_over(change)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            hand_over(error)
        else:
            hand_over(None)

    # a daemon, since nothing can interrupt its read of a pipe
    Thread(target=read, name="feed", daemon=True).start()
    while True:
        try:
            item = await asyncio.wait_for(waiting.get(), PAUSE_S)
        except TimeoutError:
            yield None
            continue
        if isinstance(item, BaseException):
            raise item
        if item is None:
            return
        yield item
