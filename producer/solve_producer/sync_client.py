"""The client for synchronous code, such as Django, Flask and Celery: the async one, in a thread of its own.

The thread begins with the first call, in each process anew, so that it may be made before a fork. It is a daemon, and
what it has is closed at the end of the process or when the producer is collected.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future
from datetime import datetime
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID
from weakref import finalize

from prometheus_client import CollectorRegistry

from solve_producer.client import SolveProducer, event_of
from solve_producer.deliveries import Place
from solve_producer.errors import ProducerMisused
from solve_producer.forks import keep_from_children, leave_to_parent
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import (
    Event,
    ProblemRestored,
    ProblemWithdrawn,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)

PUBLISHED_AT_ONCE = 5_000  # events; taken from the iterable in the caller's thread
FINAL_CLOSE_S = 1.0  # when nobody waits for it: every call has returned by then
CLOSED = "this producer is closed; make a new SyncSolveProducer"

Returned = TypeVar("Returned")
Work = Callable[[SolveProducer], Coroutine[Any, Any, Returned]]


class SyncSolveProducer:
    """Publishes events of one judge, from any thread. Make one for the whole application.

    It has the methods, the errors and the return values of SolveProducer. `close` it, use it as a context manager, or
    leave it open until the process ends.
    """

    def __init__(
        self,
        connection: KafkaConnection | None = None,
        *,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        source: str = DEFAULT_SOURCE,
        delivery_timeout_s: float = 30.0,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """As for SolveProducer; nothing is connected yet. Raises InvalidSettings."""
        self._producer = SolveProducer(
            connection, bootstrap_servers=bootstrap_servers, topic=topic, source=source,
            delivery_timeout_s=delivery_timeout_s, registry=registry,
        )  # fmt: skip
        self._close_s = delivery_timeout_s + 1
        self._lock = threading.RLock()  # a signal handler may call `close` in the middle of a call
        self._pid = os.getpid()
        self._thread: _LoopThread | None = None
        self._finalizer: Any = None
        self._closed = False
        keep_from_children(self)

    def __enter__(self) -> Self:
        """Gives it; the first call opens it."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Sends what is still waiting, and disconnects. Closed already, it does nothing."""
        with self._lock:
            thread, self._thread, self._closed = self._thread, None, True
            if self._finalizer:
                self._finalizer.detach()
        if thread:
            thread.close(self._close_s)

    def connect(self) -> None:
        """As SolveProducer.connect: waits until the brokers are connected, or says why they are not."""
        self._call(SolveProducer.connect)

    def submission_solved(  # noqa: PLR0913 - the event's fields, by name
        self,
        *,
        submission_id: str | int | UUID,
        user_id: str | int | UUID,
        problem_id: str | int | UUID,
        judged_at: datetime,
        submitted_at: datetime | None = None,
        language: str | None = None,
        contest_id: str | int | UUID | None = None,
        revision: int | None = None,
    ) -> None:
        """The submission is right. Times need a zone. Raises InvalidEvent and what `send` raises."""
        self.send(
            event_of(
                SubmissionSolved, submission_id=submission_id, user_id=user_id, problem_id=problem_id,
                judged_at=judged_at, submitted_at=submitted_at, language=language, contest_id=contest_id,
                revision=revision,
            )
        )  # fmt: skip

    def submission_revoked(
        self,
        *,
        submission_id: str | int | UUID,
        user_id: str | int | UUID,
        problem_id: str | int | UUID,
        judged_at: datetime,
        reason: str | None = None,
        revision: int | None = None,
    ) -> None:
        """The submission counts no more. Raises InvalidEvent and what `send` raises."""
        self.send(
            event_of(
                SubmissionRevoked, submission_id=submission_id, user_id=user_id, problem_id=problem_id,
                judged_at=judged_at, reason=reason, revision=revision,
            )
        )  # fmt: skip

    def user_registered(
        self,
        *,
        user_id: str | int | UUID,
        username: str | None = None,
        registered_at: datetime,
        listed: bool | None = None,
    ) -> None:
        """The user exists, or has another name or listing from this time on.

        With `listed` false the user has a profile and a count, and is on no board. Without a `username` a user keeps
        the name that the site wrote into `users`. Raises InvalidEvent and what `send` raises.
        """
        self.send(
            event_of(UserRegistered, user_id=user_id, username=username, registered_at=registered_at, listed=listed)
        )

    def user_removed(
        self,
        *,
        user_id: str | int | UUID,
        removed_at: datetime,
        reason: str | None = None,
        erase: bool | None = None,
    ) -> None:
        """The user is shown nowhere until a later registration; with `erase` the name is kept nowhere of ours.

        Raises InvalidEvent and what `send` raises.
        """
        self.send(event_of(UserRemoved, user_id=user_id, removed_at=removed_at, reason=reason, erase=erase))

    def problem_withdrawn(
        self, *, problem_id: str | int | UUID, withdrawn_at: datetime, reason: str | None = None
    ) -> None:
        """The problem counts for nobody, until it is restored. Raises InvalidEvent and what `send` raises."""
        self.send(event_of(ProblemWithdrawn, problem_id=problem_id, withdrawn_at=withdrawn_at, reason=reason))

    def problem_restored(
        self, *, problem_id: str | int | UUID, restored_at: datetime, reason: str | None = None
    ) -> None:
        """The problem counts as before it was withdrawn. Raises InvalidEvent and what `send` raises."""
        self.send(event_of(ProblemRestored, problem_id=problem_id, restored_at=restored_at, reason=reason))

    def send(self, event: Event) -> Place | None:
        """Returns once the broker has the event: where in the log. Raises what SolveProducer.send raises."""
        return self._call(lambda producer: producer.send(event))

    def publish(self, events: Iterable[Event]) -> int:
        """Publishes many, in pieces that are taken from the iterable in this thread. Returns how many.

        Raises what `send` raises; then an unknown part was published, and publishing all again is harmless.
        """
        taking, published = iter(events), 0
        while piece := list(islice(taking, PUBLISHED_AT_ONCE)):
            published += self._call(partial(SolveProducer.publish, events=piece))
        return published

    def after_fork(self) -> None:
        """In the child: the thread is not here, and the lock may be held by one that is not here either."""
        if self._finalizer:
            self._finalizer.detach()
        self._lock, self._thread, self._finalizer = threading.RLock(), None, None
        self._pid = os.getpid()

    def _call(self, work: Work[Returned]) -> Returned:
        if self._pid != os.getpid():  # forked by what runs no hooks of Python, such as uWSGI
            leave_to_parent()
        with self._lock:  # what is submitted before `close` takes the lock is also finished by it
            if self._closed or (self._finalizer and not self._finalizer.alive):  # or the process is at its end
                raise ProducerMisused(CLOSED)
            if self._thread is None:
                self._thread = _LoopThread(self._producer)
                self._finalizer = finalize(self, self._thread.close, FINAL_CLOSE_S)
            future = self._thread.submit(work)
        try:
            return future.result()
        except CancelledError:
            raise ProducerMisused(CLOSED) from None
        except BaseException:  # Ctrl-C, for one
            future.cancel()
            raise


class _LoopThread:
    """A thread that runs an event loop with one producer in it."""

    def __init__(self, producer: SolveProducer) -> None:
        self._producer = producer
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="solve-producer", daemon=True)
        keep_from_children(self)
        self._thread.start()

    def submit(self, work: Work[Returned]) -> Future[Returned]:
        """Begins the work, on the started producer."""
        return asyncio.run_coroutine_threadsafe(self._started(work), self._loop)

    def close(self, patience_s: float) -> None:
        """Stops the producer, then the thread; whatever call is left then is cancelled."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
        if threading.current_thread() is not self._thread:  # the collector may run anywhere
            self._thread.join(patience_s)
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._loop.stop)

    def after_fork(self) -> None:
        """A child has the object and not the thread; it makes its own."""

    async def _started(self, work: Work[Returned]) -> Returned:
        await self._producer.start()
        return await work(self._producer)

    async def _stop(self) -> None:
        await self._producer.stop()
        self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:  # or whoever waits for one would wait for ever
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=FINAL_CLOSE_S / 2))
        self._loop.close()
