"""Hands each change to the event streams that subscribed to it. No I/O, and a slow reader does not make a queue grow.

Changes are absolute, so a stream that is not read keeps only the newest change per user and one of the board. A
stream id is sent only after, or together with, everything up to it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol

from solve_api.live.entries import MANY, NOTHING, BoardChange, StreamEntry, StreamId, UserChange

BOARD_INTERVAL_S = 0.1


class Clock(Protocol):
    """The part of an event loop that the hub uses."""

    def time(self) -> float:
        """Seconds since any fixed moment."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Any:
        """Calls at that time."""


class News(NamedTuple):
    """What a stream sends next. `reset` comes first, and means: fetch again what you show."""

    stream_id: StreamId | None
    reset: bool
    board: BoardChange
    changes: Collection[UserChange]


class Subscription:
    """One open stream."""

    def __init__(self, hub: "Hub", user_ids: Iterable[str], board: bool) -> None:
        self.user_ids = frozenset(user_ids)
        self.board = board
        self.began_at = hub.board_notified_to
        self._hub = hub
        self._changes: dict[str, UserChange] = {}
        self._board = NOTHING
        self._reset = False
        self._ready = asyncio.Event()
        self._ready.set()  # the first news report where the stream begins

    async def next(self, timeout_s: float) -> News | None:
        """The next news, empty after the timeout, or None once the hub is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        return None if self._hub.closed else self.take()

    def take(self) -> News:
        """Takes the pending news, each once."""
        hub = self._hub
        stream_id = hub.board_notified_to if self.board else hub.users_notified_to
        news = News(stream_id, self._reset, self._board, self._changes.values())
        self._changes, self._board, self._reset = {}, NOTHING, False
        self._ready.clear()
        return news

    def notify(self, change: UserChange) -> None:
        """Adds a newer change of a watched user."""
        self._changes[change.user_id] = change
        self._ready.set()

    def notify_board(self, change: BoardChange) -> None:
        """Adds a change of the board."""
        if self.board and change:
            self._board = self._board.then(change) if self._board else change
            self._ready.set()

    def reset(self) -> None:
        """Marks that what the reader has may be from before a restore."""
        self._reset = True
        self._changes = {}
        self._ready.set()

    def wake(self) -> None:
        """Lets a waiting stream notice that the hub is closed."""
        self._ready.set()


class Hub:
    """The open streams of one process."""

    def __init__(self, streams_max: int, clock: Clock | None = None, address_max: int | None = None) -> None:
        self.closed = False
        self.epoch: int | None = None
        self.users_notified_to: StreamId | None = None
        self.board_notified_to: StreamId | None = None
        self._streams_max = streams_max
        self._address_max = address_max or streams_max
        self._addresses: Counter[str] = Counter()
        self._clock: Clock = clock or asyncio.get_running_loop()
        self._streams: set[Subscription] = set()
        self._watchers: dict[str, set[Subscription]] = {}
        self._latest: dict[str, UserChange] = {}  # of watched users, all of this epoch
        self._board = NOTHING
        self._board_due_at = self._clock.time()
        self._board_scheduled = False

    @property
    def full(self) -> bool:
        """Whether no further stream may open."""
        return self.closed or len(self._streams) >= self._streams_max

    def is_full_for(self, address: str) -> bool:
        """Whether this address may open no further stream, so that one client cannot use up all streams."""
        return self._addresses[address] >= self._address_max

    @property
    def streams(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    @contextmanager
    def watching(self, user_ids: Iterable[str], *, board: bool, address: str = "") -> Iterator[Subscription]:
        """Opens a stream, and closes it on exit."""
        subscription = Subscription(self, user_ids, board)
        self._streams.add(subscription)
        self._addresses[address] += 1
        for user_id in subscription.user_ids:
            self._watchers.setdefault(user_id, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._streams.discard(subscription)
            self._addresses[address] -= 1
            self._addresses += Counter()  # drops addresses without streams
            for user_id in subscription.user_ids:
                watchers = self._watchers[user_id]
                watchers.discard(subscription)
                if not watchers:
                    del self._watchers[user_id]
                    self._latest.pop(user_id, None)

    def watched(self) -> list[str]:
        """The watched users."""
        return list(self._watchers)

    def known(self, user_id: str) -> int:
        """The last version sent for a watched user, or -1 if none in this epoch."""
        return self._latest[user_id].version if user_id in self._latest else -1

    def catch_up(self, subscription: Subscription) -> None:
        """Sends a new stream the latest changes of its users."""
        for user_id in subscription.user_ids & self._latest.keys():
            subscription.notify(self._latest[user_id])

    def begin(self, stream_id: StreamId) -> None:
        """Starts reading the stream of changes here; readers of the board may have missed what came before."""
        self.users_notified_to = stream_id
        if self.board_notified_to is None:
            self.board_notified_to = stream_id
        self.notify_board(MANY)

    def rest(self) -> None:
        """Forgets where the stream of changes was read, since nobody reads it for a while."""
        self.users_notified_to = self.board_notified_to = None

    def see(self, epoch: int) -> bool:
        """Whether this epoch is current. In a newer one PostgreSQL may have been restored, so every stream is reset."""
        if self.epoch is not None and epoch > self.epoch:
            self._latest.clear()
            for subscription in self._streams:
                subscription.reset()
            self.notify_board(MANY)
        self.epoch = max(epoch, self.epoch if self.epoch is not None else epoch)
        return epoch == self.epoch

    def notify(self, epoch: int, changes: Iterable[UserChange]) -> None:
        """Sends new standings to those who watch the users; ignores what is not newer."""
        if not self.see(epoch):
            return
        for change in changes:
            known = self._latest.get(change.user_id)
            watchers = self._watchers.get(change.user_id)
            if watchers and (known is None or change.order > known.order):
                self._latest[change.user_id] = change
                for subscription in watchers:
                    subscription.notify(change)

    def notify_entry(self, entry: StreamEntry) -> None:
        """Sends the next entry: users at once, the board together with what follows shortly.

        Of who left the board it does not say why: they may have a count all the same, which PostgreSQL knows.
        """
        self.notify(entry.epoch, [change for change in entry.board.changes.values() if change.last_solved_at])
        self.users_notified_to = entry.stream_id
        self.notify_board(entry.board if entry.epoch == self.epoch else NOTHING)

    def notify_board(self, change: BoardChange) -> None:
        """Schedules a change of the board for all its readers together, at a limited rate."""
        self._board = self._board.then(change)
        if not self._board_scheduled:
            self._board_scheduled = True
            self._clock.call_at(max(self._clock.time(), self._board_due_at), self._send_board)

    def close(self) -> None:
        """Ends every stream and refuses new ones."""
        self.closed = True
        for subscription in self._streams:
            subscription.wake()

    def _send_board(self) -> None:
        self._board_scheduled = False
        self._board_due_at = self._clock.time() + BOARD_INTERVAL_S
        change, self._board = self._board, NOTHING
        self.board_notified_to = self.users_notified_to
        for subscription in self._streams:
            subscription.notify_board(change)
