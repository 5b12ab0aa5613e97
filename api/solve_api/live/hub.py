"""Who watches what? Hands each change to the streams that asked for it; no I/O, and nothing grows behind a slow reader.

What is told is absolute, so a stream that is not read keeps only the newest of each of its users and one change of
the board. A position is given out only where everything up to it was handed over before or together with it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol

from solve_api.live.entries import MANY, NOTHING, BoardChange, Change, Entry, Position

BOARD_INTERVAL_S = 0.1


class Clock(Protocol):
    """What the hub needs of an event loop."""

    def time(self) -> float:
        """Seconds, from anywhere."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Any:
        """Calls once it is `when`."""


class News(NamedTuple):
    """What a stream has to say next. `reset` comes first: fetch anew what you show."""

    position: Position | None
    reset: bool
    board: BoardChange
    changes: Collection[Change]


class Subscription:
    """One open stream."""

    def __init__(self, hub: "Hub", user_ids: Iterable[str], board: bool) -> None:
        self.user_ids = frozenset(user_ids)
        self.board = board
        self.begin = hub.shown
        self._hub = hub
        self._changes: dict[str, Change] = {}
        self._board = NOTHING
        self._reset = False
        self._ready = asyncio.Event()
        self._ready.set()  # the first news say where it begins, if nothing else

    async def next(self, patience_s: float) -> News | None:
        """The next news; without content after so many seconds in vain. None once the hub is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._ready.wait()
        return None if self._hub.closed else self.take()

    def take(self) -> News:
        """What there is to say now; each is said once."""
        hub = self._hub
        position = hub.shown if self.board else hub.position
        news = News(position, self._reset, self._board, self._changes.values())
        self._changes, self._board, self._reset = {}, NOTHING, False
        self._ready.clear()
        return news

    def tell(self, change: Change) -> None:
        """A newer one of a watched user."""
        self._changes[change.user_id] = change
        self._ready.set()

    def tell_board(self, change: BoardChange) -> None:
        """Something newer of the board."""
        if self.board and change:
            self._board = self._board.then(change) if self._board else change
            self._ready.set()

    def reset(self) -> None:
        """What the reader has may be of another past."""
        self._reset = True
        self._changes = {}
        self._ready.set()

    def wake(self) -> None:
        """Looks whether the hub is closed."""
        self._ready.set()


class Hub:
    """The open streams of one process."""

    def __init__(self, streams_max: int, clock: Clock | None = None, address_max: int | None = None) -> None:
        self.closed = False
        self.epoch: int | None = None
        self.position: Position | None = None  # up to which users were told
        self.shown: Position | None = None  # up to which the board was
        self._streams_max = streams_max
        self._address_max = address_max or streams_max
        self._addresses: Counter[str] = Counter()
        self._clock: Clock = clock or asyncio.get_running_loop()
        self._streams: set[Subscription] = set()
        self._watchers: dict[str, set[Subscription]] = {}
        self._latest: dict[str, Change] = {}  # of watched users, all of this epoch
        self._board = NOTHING
        self._show_at = self._clock.time()
        self._show_waits = False

    @property
    def full(self) -> bool:
        """Whether another stream would be too many."""
        return self.closed or len(self._streams) >= self._streams_max

    def is_full_for(self, address: str) -> bool:
        """Whether another stream of this address would be too many: one client must not take everybody's room."""
        return self._addresses[address] >= self._address_max

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    @contextmanager
    def watching(self, user_ids: Iterable[str], *, board: bool, address: str = "") -> Iterator[Subscription]:
        """A stream, from now on and until it is left."""
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
            self._addresses += Counter()  # forgets who has none
            for user_id in subscription.user_ids:
                watchers = self._watchers[user_id]
                watchers.discard(subscription)
                if not watchers:
                    del self._watchers[user_id]
                    self._latest.pop(user_id, None)

    def watched(self) -> list[str]:
        """Whom somebody watches."""
        return list(self._watchers)

    def known(self, user_id: str) -> int:
        """The version of a watched user that was told last; -1 where none was in this epoch."""
        return self._latest[user_id].version if user_id in self._latest else -1

    def show(self, subscription: Subscription) -> None:
        """Tells a new stream what is known of its users."""
        for user_id in subscription.user_ids & self._latest.keys():
            subscription.tell(self._latest[user_id])

    def begin(self, position: Position) -> None:
        """From here on the stream of changes is read; what was before may be lost to the board's readers."""
        self.position = position
        if self.shown is None:
            self.shown = position
        self.tell_board(MANY)

    def see(self, epoch: int) -> bool:
        """Whether this is the epoch to tell of. In a newer one PostgreSQL may have gone back: everybody starts anew."""
        if self.epoch is not None and epoch > self.epoch:
            self._latest.clear()
            for subscription in self._streams:
                subscription.reset()
            self.tell_board(MANY)
        self.epoch = max(epoch, self.epoch if self.epoch is not None else epoch)
        return epoch == self.epoch

    def tell(self, epoch: int, changes: Iterable[Change]) -> None:
        """How users stand; what is not newer is known already."""
        if not self.see(epoch):
            return
        for change in changes:
            known = self._latest.get(change.user_id)
            watchers = self._watchers.get(change.user_id)
            if watchers and (known is None or change.order > known.order):
                self._latest[change.user_id] = change
                for subscription in watchers:
                    subscription.tell(change)

    def tell_entry(self, entry: Entry) -> None:
        """The stream's next entry: users at once, the board with whatever else comes soon."""
        self.tell(entry.epoch, entry.board.changes.values())
        self.position = entry.position
        self.tell_board(entry.board if entry.epoch == self.epoch else NOTHING)

    def tell_board(self, change: BoardChange) -> None:
        """The board changed; all its readers are told together, and not too often."""
        self._board = self._board.then(change)
        if not self._show_waits:
            self._show_waits = True
            self._clock.call_at(max(self._clock.time(), self._show_at), self._show_board)

    def close(self) -> None:
        """Ends every stream; no new one is taken."""
        self.closed = True
        for subscription in self._streams:
            subscription.wake()

    def _show_board(self) -> None:
        self._show_waits = False
        self._show_at = self._clock.time() + BOARD_INTERVAL_S
        change, self._board = self._board, NOTHING
        self.shown = self.position
        for subscription in self._streams:
            subscription.tell_board(change)
