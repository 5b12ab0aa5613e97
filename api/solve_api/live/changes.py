"""Follows the stream of changes that the projector writes to Redis, one reader per process, and notifies the hub.

PostgreSQL is queried as well, for newer versions of watched users: every second while Redis is unavailable, every two
seconds otherwise (a write can be lost between the commit and Redis), and when an entry names no users.

While no stream is open and no page was made a moment ago, neither server is asked.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, closing, suppress
from itertools import islice

import asyncpg
import structlog
from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

from solve_api.attention import Attention
from solve_api.http.open_file_limit import fit_open_files
from solve_api.live.entries import (
    BEGINNING,
    MANY,
    NOTHING,
    BoardChange,
    StreamEntry,
    StreamId,
    UserChange,
    change_of,
    read_entry,
)
from solve_api.live.hub import Hub, Subscription
from solve_api.settings import ApiSettings
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import changes_key
from solve_projector.leaderboard.redis_client import RedisClient, connect_redis
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.sql import queries
from solve_runtime.tasks import cancelled, in_background

STANDINGS_SQL = queries("solve_api.live", "standings")

READ_ENTRIES = 100
BLOCK_MS = 2_000
SOCKET_TIMEOUT_S = 4.0  # longer than the block
RETRY_MAX_S = 2.0
QUERY_INTERVAL_S = 2.0
UNAVAILABLE_INTERVAL_S = 1.0
QUERY_GAP_S = 0.5
QUERY_USERS = 1_000
QUERY_TIMEOUT_S = 5.0
HISTORY_ENTRIES = 100
HISTORY_TIMEOUT_S = 2.0
HISTORIES_AT_ONCE = 8


class Changes:
    """The changes that one process has seen, and its hub."""

    def __init__(self, redis: RedisClient, key: str, pool: asyncpg.Pool, hub: Hub, topic: str) -> None:
        self.hub = hub
        self.unavailable = True  # Redis, until it answers
        self._reported_unavailable = False
        self._redis = redis
        self._key = key
        self._pool = pool
        self._log = structlog.get_logger().bind(topic=topic)
        self._query_now = asyncio.Event()
        self._query_failed = False
        self.attention = Attention(lambda: hub.streams > 0)
        self._settled = asyncio.Event()  # the position is known, or cannot be, since the last rest
        self._history_turns = asyncio.Semaphore(HISTORIES_AT_ONCE)

    async def follow(self) -> None:
        """Reads the stream until cancelled, except while nobody looks, and waits while Redis is unavailable."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: (
                    isinstance(error, LeaderboardUnavailable) and not cancelled() and not self.attention.is_lost()
                )
            ),
            wait=wait_random_exponential(multiplier=0.1, max=RETRY_MAX_S),
            reraise=True,
        )
        while not cancelled():
            await self.attention.rest(self._forget)
            with suppress(LeaderboardUnavailable):  # only if this task was cancelled, or nobody looks any more
                await retrying(self._read)

    async def query(self) -> None:
        """Queries PostgreSQL until cancelled, at intervals and when there is a reason."""
        while not cancelled():
            interval_s = UNAVAILABLE_INTERVAL_S if self.unavailable else QUERY_INTERVAL_S
            with suppress(TimeoutError):
                # after a rest, the first read of the stream says so, whatever it finds
                async with asyncio.timeout(None if self.attention.resting else interval_s):
                    await self._query_now.wait()
            self._query_now.clear()
            await self._query()
            await asyncio.sleep(QUERY_GAP_S)

    async def board_notified_to(self) -> StreamId | None:
        """Up to where readers of the board were notified; after a rest, once it is known. None if it cannot be."""
        self.attention.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(HISTORY_TIMEOUT_S):
                await self._settled.wait()
        return self.hub.board_notified_to

    async def catch_up(self, subscription: Subscription, after: str | None) -> None:
        """Sends a new stream its users' standings, and what it missed of the board. Raises asyncpg's errors."""
        if after is not None:
            missed = await self._missed(after, subscription)
            if missed is None:
                subscription.reset()
            else:
                subscription.notify_board(missed)
        if subscription.user_ids:
            epoch, changes = await self._newer(dict.fromkeys(subscription.user_ids, -1))
            self.hub.notify(epoch, changes)
            self.hub.catch_up(subscription)

    def lost(self) -> None:
        """Serves streams from PostgreSQL alone, until the stream of changes is read again."""
        self.unavailable = True
        self._settled.set()
        self._query_now.set()

    async def _read(self) -> None:
        try:
            if self.unavailable:
                await self._find_position()
                self._log.info(
                    "reading the stream of changes",
                    action="changes_available",
                    stream_id=str(self.hub.users_notified_to),
                )
                self.unavailable = self._reported_unavailable = False
                self._settled.set()
            async with self._redis.session() as redis:
                answer = await redis.xread({self._key: str(self.hub.users_notified_to)}, READ_ENTRIES, BLOCK_MS)
            for _, entries in answer:
                for entry_id, fields in entries:
                    self._notify(entry_id, fields)
            if not answer:
                await self._find_position()
        except LeaderboardUnavailable as error:
            if not self._reported_unavailable:
                self._log.warning(
                    "the stream of changes is unavailable; querying PostgreSQL",
                    action="changes_unavailable",
                    error=str(error),
                )
            self._reported_unavailable = True
            self.lost()
            raise

    def _forget(self) -> None:
        self.unavailable = True
        self._settled.clear()
        self.hub.rest()

    def _notify(self, entry_id: bytes, fields: Mapping[bytes, bytes]) -> None:
        try:
            entry = read_entry(entry_id, fields)
        except ValueError as error:
            self._log.warning(
                "skipped an unknown entry in the stream of changes", action="change_unknown", error=str(error)
            )
            stream_id = StreamId.parse(entry_id.decode()) or BEGINNING
            entry = StreamEntry(stream_id, self.hub.epoch or 0, MANY)
        self.hub.notify_entry(entry)
        if entry.board.many or any(not change.last_solved_at for change in entry.board.changes.values()):
            self._query_now.set()

    async def _find_position(self) -> None:
        """Continues where we were, unless Redis was unavailable or its stream is newer than ours."""
        async with self._redis.session() as redis:
            last = await redis.xrevrange(self._key, count=1)
            newest = (last and StreamId.parse(last[0][0].decode())) or BEGINNING
        here = self.hub.users_notified_to
        if here is None or newest < here:
            self.hub.begin(newest)
        elif self.unavailable:
            self.hub.notify_board(MANY)
        else:
            return
        self._query_now.set()

    async def _missed(self, after: str, subscription: Subscription) -> BoardChange | None:
        """What a reader of the board missed, or None if that cannot be known."""
        last_seen, here, until = StreamId.parse(after), self.hub.users_notified_to, subscription.began_at
        most = HISTORY_ENTRIES + 1 if subscription.board else 1
        if last_seen is None or self.unavailable or here is None or until is None or last_seen > here:
            return None
        if last_seen >= until:
            return NOTHING
        try:
            async with asyncio.timeout(HISTORY_TIMEOUT_S), self._history_turns, self._redis.session() as redis:
                found = await redis.xrange(self._key, str(last_seen), str(until), most)
            entries = [read_entry(*one) for one in found]
        except (LeaderboardUnavailable, TimeoutError, ValueError):
            return None
        # if the last entry seen still exists, nothing after it was trimmed and the stream is the same
        if not entries or entries[0].stream_id != last_seen or self.hub.epoch not in (None, entries[0].epoch):
            return None
        missed = MANY if len(entries) > HISTORY_ENTRIES else NOTHING
        for entry in entries[1:]:
            missed = missed.then(entry.board)
        return missed

    async def _query(self) -> None:
        """Queries once. Streams stay open if PostgreSQL does not answer."""
        ids = iter(self.hub.watched())
        try:
            while chunk := list(islice(ids, QUERY_USERS)):
                self.hub.notify(*await self._newer({user_id: self.hub.known(user_id) for user_id in chunk}))
        except DATABASE_ERRORS as error:
            if not self._query_failed:
                self._log.warning(
                    "PostgreSQL is unavailable; changes arrive late",
                    action="changes_not_queried",
                    error=str(error) or type(error).__name__,
                )
            self._query_failed = True
        else:
            self._query_failed = False

    async def _newer(self, known: Mapping[str, int]) -> tuple[int, list[UserChange]]:
        """The epoch, and the standings of users that have a newer version."""
        async with self._pool.acquire(timeout=QUERY_TIMEOUT_S) as connection:
            epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch", timeout=QUERY_TIMEOUT_S)
            if self.hub.epoch is not None and epoch > self.hub.epoch:
                known = dict.fromkeys(known, -1)
            rows = await connection.fetch(
                STANDINGS_SQL["newer_standings"], list(known), list(known.values()), timeout=QUERY_TIMEOUT_S
            )
        return epoch, [change_of(tuple(row), epoch) for row in rows]


@asynccontextmanager
async def open_changes(settings: ApiSettings, pool: asyncpg.Pool, topic: str) -> AsyncIterator[Changes]:
    """Follows the changes in the background, and ends every stream on exit. Raises SettingsError on a bad REDIS_URL."""
    redis = connect_redis(settings, socket_timeout=SOCKET_TIMEOUT_S, client_name="solve-api")
    key = changes_key(settings.leaderboard_prefix)
    hub = Hub(_streams_max(settings), address_max=settings.api_streams_address_max)
    changes = Changes(redis, key, pool, hub, topic)
    async with aclosing(redis), in_background(changes.follow, changes.query, on_failure=changes.lost):
        with closing(hub):
            yield changes


def _streams_max(settings: ApiSettings) -> int:
    possible = fit_open_files(settings).streams
    if possible < settings.api_streams_max:
        structlog.get_logger().warning(
            f"only {possible} event streams fit; raise the limit of open files (ulimit -n), "
            "or lower SOLVE_API_STREAMS_MAX",
            action="streams_limited",
        )
    return possible
