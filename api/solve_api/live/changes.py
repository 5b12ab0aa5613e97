"""Who changed, now? One reader a process follows the stream that the projector writes, and tells the hub.

PostgreSQL is asked beside it, for the users somebody watches and only for what is newer: every second while Redis is
away, now and then in any case (a write can be lost between the commit and Redis), and where the stream says that too
many changed to name them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any

import asyncpg
import structlog
from redis.asyncio import Redis
from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

from solve_api.live.entries import BEGINNING, MANY, NOTHING, BoardChange, Change, Entry, Position, change_of, read_entry
from solve_api.live.hub import Hub, Subscription
from solve_api.live.open_file_limit import make_room
from solve_api.settings import ApiSettings
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import changes_key
from solve_projector.leaderboard.redis_client import connect_redis, translated
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.sql import queries
from solve_runtime.tasks import cancel_and_wait, cancelled

STANDINGS_SQL = queries("solve_api.live", "standings")

READ_ENTRIES = 100
BLOCK_MS = 2_000
SOCKET_TIMEOUT_S = 4.0  # longer than the block
RETRY_MAX_S = 2.0
HEAL_INTERVAL_S = 2.0
AWAY_INTERVAL_S = 1.0
ASK_GAP_S = 0.5
ASK_USERS = 1_000
ASK_TIMEOUT_S = 5.0
HISTORY_ENTRIES = 100
HISTORY_TIMEOUT_S = 2.0
HISTORIES_AT_ONCE = 8


class Changes:
    """What one process knows of changes, and its hub."""

    def __init__(self, redis: Redis, key: str, pool: asyncpg.Pool, hub: Hub, topic: str) -> None:
        self.hub = hub
        self.away = True  # Redis, until it answered
        self._said_away = False
        self._redis: Any = redis
        self._key = key
        self._pool = pool
        self._log = structlog.get_logger().bind(topic=topic)
        self._ask_now = asyncio.Event()
        self._asked_in_vain = False
        self._history_turns = asyncio.Semaphore(HISTORIES_AT_ONCE)

    async def follow(self) -> None:
        """Reads the stream for ever; a Redis that is away is waited for."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, LeaderboardUnavailable) and not cancelled()),
            wait=wait_random_exponential(multiplier=0.1, max=RETRY_MAX_S),
            reraise=True,
        )
        with suppress(LeaderboardUnavailable):  # only of a task that was told to end
            while not cancelled():
                await retrying(self._read)

    async def heal(self) -> None:
        """Asks PostgreSQL for ever, now and then and when there is a reason."""
        while not cancelled():
            with suppress(TimeoutError):
                async with asyncio.timeout(AWAY_INTERVAL_S if self.away else HEAL_INTERVAL_S):
                    await self._ask_now.wait()
            self._ask_now.clear()
            await self._ask()
            await asyncio.sleep(ASK_GAP_S)

    async def catch_up(self, subscription: Subscription, after: str | None) -> None:
        """Tells a new stream how its users stand, and what of the board it missed. Raises asyncpg's errors."""
        if after is not None:
            missed = await self._missed(after, subscription)
            if missed is None:
                subscription.reset()
            else:
                subscription.tell_board(missed)
        if subscription.user_ids:
            epoch, changes = await self._newer(dict.fromkeys(subscription.user_ids, -1))
            self.hub.tell(epoch, changes)
            self.hub.show(subscription)

    def close_streams(self) -> None:
        """Ends every stream at once. To be called before the server waits for its connections to end."""
        self.hub.close()

    def ended(self, task: asyncio.Task[None]) -> None:
        """A task that ends by an error nobody foresaw must not leave streams that say nothing."""
        if not task.cancelled() and (error := task.exception()):
            self._log.critical("live updates ended", action="live_ended", error=repr(error), exc_info=error)
            self.close_streams()

    async def _read(self) -> None:
        try:
            if self.away:
                await self._find_place()
                self._log.info("changes heard", action="changes_back", position=str(self.hub.position))
                self.away = self._said_away = False
            with translated():
                answer = await self._redis.xread({self._key: str(self.hub.position)}, READ_ENTRIES, BLOCK_MS)
            for _, entries in answer:
                for entry_id, fields in entries:
                    self._tell(entry_id, fields)
            if not answer:
                await self._find_place()
        except LeaderboardUnavailable as error:
            if not self._said_away:
                self._log.warning(
                    "stream of changes away; PostgreSQL is asked", action="changes_away", error=str(error)
                )
            self.away = self._said_away = True
            self._ask_now.set()
            raise

    def _tell(self, entry_id: bytes, fields: Mapping[bytes, bytes]) -> None:
        try:
            entry = read_entry(entry_id, fields)
        except ValueError as error:
            self._log.warning("entry of changes not understood", action="change_unclear", error=str(error))
            position = Position.parse(entry_id.decode()) or BEGINNING
            entry = Entry(position, self.hub.epoch or 0, MANY)
        self.hub.tell_entry(entry)
        if entry.board.many:
            self._ask_now.set()

    async def _find_place(self) -> None:
        """Where to read on: where we were, unless Redis was away or its stream is a younger one than ours."""
        with translated():
            last = await self._redis.xrevrange(self._key, count=1)
        newest = (last and Position.parse(last[0][0].decode())) or BEGINNING
        here = self.hub.position
        if here is None or newest < here:
            self.hub.begin(newest)
        elif self.away:
            self.hub.tell_board(MANY)
        else:
            return
        self._ask_now.set()

    async def _missed(self, after: str, subscription: Subscription) -> BoardChange | None:
        """What a reader of the board missed; None where nobody can tell."""
        position, here, until = Position.parse(after), self.hub.position, subscription.begin
        most = HISTORY_ENTRIES + 1 if subscription.board else 1
        if position is None or self.away or here is None or until is None or position > here:
            return None
        if position >= until:
            return NOTHING
        try:
            async with asyncio.timeout(HISTORY_TIMEOUT_S), self._history_turns:
                with translated():
                    found = await self._redis.xrange(self._key, str(position), str(until), most)
            entries = [read_entry(*one) for one in found]
        except (LeaderboardUnavailable, TimeoutError, ValueError):
            return None
        # the entry it had last is still there, so nothing behind it was trimmed, and the stream is the same
        if not entries or entries[0].position != position or self.hub.epoch not in (None, entries[0].epoch):
            return None
        missed = MANY if len(entries) > HISTORY_ENTRIES else NOTHING
        for entry in entries[1:]:
            missed = missed.then(entry.board)
        return missed

    async def _ask(self) -> None:
        """A PostgreSQL that does not answer is asked again; the streams stay open."""
        ids = iter(self.hub.watched())
        try:
            while chunk := list(islice(ids, ASK_USERS)):
                self.hub.tell(*await self._newer({user_id: self.hub.known(user_id) for user_id in chunk}))
        except DATABASE_ERRORS as error:
            if not self._asked_in_vain:
                said = str(error) or type(error).__name__
                self._log.warning("PostgreSQL not asked for changes", action="changes_unasked", error=said)
            self._asked_in_vain = True
        else:
            self._asked_in_vain = False

    async def _newer(self, known: Mapping[str, int]) -> tuple[int, list[Change]]:
        """The epoch, and how those users stand who have a newer version."""
        async with self._pool.acquire(timeout=ASK_TIMEOUT_S) as connection:
            epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch", timeout=ASK_TIMEOUT_S)
            if self.hub.epoch is not None and epoch > self.hub.epoch:
                known = dict.fromkeys(known, -1)
            rows = await connection.fetch(
                STANDINGS_SQL["newer_standings"], list(known), list(known.values()), timeout=ASK_TIMEOUT_S
            )
        return epoch, [change_of(tuple(row), epoch) for row in rows]


@asynccontextmanager
async def open_changes(settings: ApiSettings, pool: asyncpg.Pool, topic: str) -> AsyncIterator[Changes]:
    """Follows the changes until left; every stream has ended then. Raises SettingsError on a URL that is none."""
    redis = connect_redis(settings, socket_timeout=SOCKET_TIMEOUT_S, client_name="solve-api")
    key = changes_key(settings.leaderboard_prefix)
    hub = Hub(_room(settings.api_streams_max), address_max=settings.api_streams_address_max)
    changes = Changes(redis, key, pool, hub, topic)
    tasks = [asyncio.create_task(changes.follow()), asyncio.create_task(changes.heal())]
    for task in tasks:
        task.add_done_callback(changes.ended)
    try:
        yield changes
    finally:
        changes.close_streams()
        await cancel_and_wait(tasks)
        await redis.aclose()


def _room(streams_max: int) -> int:
    room = make_room(streams_max)
    if room < streams_max:
        structlog.get_logger().warning(
            f"room for {room} event streams only; raise the limit of open files (ulimit -n), "
            "or lower SOLVE_API_STREAMS_MAX",
            action="streams_limited",
        )
    return room
