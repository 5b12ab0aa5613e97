"""Where is the ranking cached? One sorted set in Redis, written only with absolute and versioned values (I6).

Read ascending: score = -(problems_solved * 2^32 + 2^32 - 1 - last_solved_at in whole seconds), exact in a double up
to 2,097,151 problems; equal scores come in the order of the user ids' bytes. Late, repeated and concurrent writes
are harmless, because a member is written only with a newer version. A watermark per partition says up to which
offset of the log the board has everything. Versions and watermarks belong to an epoch, named in the keys. A short
stream beside it tells readers whose standing changed.
Nothing here is ever read to compute a count.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from solve_projector.domain.ranking import Mode, Position, Reading, Stretch
from solve_projector.domain.rule import whole_seconds
from solve_projector.errors import LeaderboardUnavailable, SettingsError
from solve_projector.settings import ProjectorSettings
from solve_projector.store.counts import Standing

SECONDS_RANGE = 2**32
SOCKET_TIMEOUT_S = 2.0
SCAN_COUNT = 1000
CHANGES_KEPT = 1000  # about; the script that writes standings says it too


@cache
def _script(name: str) -> str:
    return files("solve_projector").joinpath("leaderboard", "lua", f"{name}.lua").read_text(encoding="utf-8")


def score(problems_solved: int, last_solved_at: datetime) -> int:
    """The member's score; smaller is better."""
    return _score(problems_solved, whole_seconds(last_solved_at))


def _score(problems_solved: int, seconds: int) -> int:
    return -(problems_solved * SECONDS_RANGE + SECONDS_RANGE - 1 - seconds)


def solved_of(member_score: float) -> tuple[int, datetime]:
    """Problems and whole second of the last solve, back from a score."""
    problems, rest = divmod(-int(member_score), SECONDS_RANGE)
    return problems, datetime.fromtimestamp(SECONDS_RANGE - 1 - rest, UTC)


def _position(user_id: str, member_score: bytes) -> Position:
    problems, rest = divmod(-int(float(member_score)), SECONDS_RANGE)
    return Position(problems, SECONDS_RANGE - 1 - rest, user_id)


def changes_key(prefix: str) -> str:
    """The stream of whose standing changed. Of no epoch, so that its ids only grow."""
    return f"{{{prefix}}}:changes"


class BoardRow(NamedTuple):
    """One place on the board."""

    rank: int
    user_id: str
    problems_solved: int
    last_solved_at: datetime


@dataclass(frozen=True, slots=True)
class BoardState:
    """What Redis says of itself: the epoch readers see (None: no board) and the watermarks of one epoch."""

    current: int | None
    watermarks: Mapping[int, int]
    members: int
    versions: int


class Leaderboard:
    """The board of one topic in one Redis. Every method raises LeaderboardUnavailable where Redis does not answer."""

    def __init__(self, redis: Redis, prefix: str, topic: str) -> None:
        # the braces keep all keys in one slot of a Redis Cluster, as a script needs
        self._redis: Any = redis  # its stubs give every answer as a union over protocol versions
        self._prefix = f"{{{prefix}}}"
        self._changes = changes_key(prefix)
        self._topic = topic
        self._write = redis.register_script(_script("write_standings"))
        self._raise = redis.register_script(_script("raise_watermarks"))
        self._read = redis.register_script(_script("read_board"))

    def _key(self, epoch: int, what: str) -> str:
        return f"{self._prefix}:{epoch}:{what}"

    async def write(
        self, epoch: int, standings: Iterable[Standing], ranges: Mapping[int, tuple[int, int]] | None = None
    ) -> list[int]:
        """Writes standings that are newer, moves watermarks from `from` to `to`, and tells whose standing changed.

        The partitions whose watermark had not reached `from`: an earlier write is missing.
        """
        users: list[Any] = []
        for user_id, problems_solved, last_solved_at, version in standings:
            users += (user_id, version, score(problems_solved, last_solved_at) if last_solved_at else "")
        moves = [part for p, (begin, end) in (ranges or {}).items() for part in (self._watermark(p), begin, end)]
        keys = [self._key(epoch, "board"), self._key(epoch, "versions"), self._key(epoch, "watermarks"), self._changes]
        with translated():
            behind = await self._write(keys=keys, args=[epoch, len(users) // 3, *users, *moves])
        return [int(name.rpartition(b":")[2]) for name in behind]

    async def raise_watermarks(self, epoch: int, offsets: Mapping[int, int]) -> None:
        """Everything below these offsets is on the board."""
        args = [part for partition, offset in offsets.items() for part in (self._watermark(partition), offset)]
        with translated():
            await self._raise(keys=[self._key(epoch, "watermarks")], args=args)

    async def state(self, epoch: int) -> BoardState:
        """What Redis has of `epoch`, and which epoch readers see."""
        with translated():
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.get(f"{self._prefix}:current")
            pipeline.hgetall(self._key(epoch, "watermarks"))
            pipeline.zcard(self._key(epoch, "board"))
            pipeline.hlen(self._key(epoch, "versions"))
            current, marks, members, versions = await pipeline.execute()
            head = f"{self._topic}:".encode()
            watermarks = {
                int(name[len(head) :]): int(at)
                for name, at in marks.items()
                if name.startswith(head) and name[len(head) :].isdigit()
            }
            return BoardState(int(current) if current else None, watermarks, members, versions)

    async def current_epoch(self) -> int | None:
        """The epoch that readers see; None where there is no board."""
        with translated():
            current = await self._redis.get(f"{self._prefix}:current")
            return int(current) if current is not None else None

    async def publish(self, epoch: int) -> None:
        """Lets readers see this epoch, tells them that it is another board, and removes what other epochs left."""
        with translated():
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.set(f"{self._prefix}:current", epoch)
            pipeline.xadd(self._changes, {"epoch": epoch, "many": 1}, maxlen=CHANGES_KEPT)
            await pipeline.execute()
            keep = f"{self._prefix}:{epoch}:".encode()
            async for key in self._redis.scan_iter(match=f"{_escaped(self._prefix)}:[0-9]*:*", count=SCAN_COUNT):
                if not key.startswith(keep):
                    await self._redis.unlink(key)

    async def top(self, limit: int) -> list[BoardRow]:
        """The first places, as readers see them now."""
        with translated():
            current = await self._redis.get(f"{self._prefix}:current")
            if current is None:
                return []
            found = await self._redis.zrange(self._key(int(current), "board"), 0, limit - 1, withscores=True)
        return [
            BoardRow(rank, user_id.decode(), *solved_of(member_score))
            for rank, (user_id, member_score) in enumerate(found, 1)
        ]

    async def place(self, user_id: str) -> BoardRow | None:
        """One user's place, or None where they are not on the board."""
        with translated():
            current = await self._redis.get(f"{self._prefix}:current")
            if current is None:
                return None
            board = self._key(int(current), "board")
            found = await self._redis.zrank(board, user_id, withscore=True)
        if found is None:
            return None
        rank, member_score = found
        return BoardRow(rank + 1, user_id, *solved_of(float(member_score)))

    async def scores_of(self, user_ids: Sequence[str]) -> list[int | None]:
        """Members' scores, as readers see them now; None where one is not on the board."""
        with translated():
            current = await self._redis.get(f"{self._prefix}:current")
            if current is None or not user_ids:
                return [None] * len(user_ids)
            found = await self._redis.zmscore(self._key(int(current), "board"), list(user_ids))
        return [int(member_score) if member_score is not None else None for member_score in found]

    async def read(self, stretch: Stretch, user_ids: Sequence[str] = ()) -> Reading | None:
        """A stretch and some users' places, as readers see them at one moment; None where there is no board."""
        solved, seconds, user_id = stretch.position
        at = str(_score(solved, seconds)) if stretch.mode in (Mode.AFTER, Mode.BEFORE) else ""
        args = [self._prefix, stretch.mode.value, stretch.limit, at, user_id, *user_ids]
        with translated():
            found = await self._read(keys=[f"{self._prefix}:current"], args=args)
            if found is None:
                return None
            total, begin, rows, places = found
            return Reading(
                total,
                begin,
                [_position(user_id.decode(), said) for user_id, said in zip(rows[::2], rows[1::2], strict=True)],
                {
                    user_id: (index + 1, _position(user_id, said))
                    for user_id, index, said in zip(user_ids, places[::2], places[1::2], strict=True)
                    if said
                },
            )

    async def member_ids(self) -> AsyncIterator[list[str]]:
        """Everybody on the board that readers see, some at a time, and some perhaps twice."""
        with translated():
            current = await self._redis.get(f"{self._prefix}:current")
            cursor = 0 if current is not None else None
            while cursor is not None:
                cursor, found = await self._redis.zscan(
                    self._key(int(current), "board"), cursor=cursor, count=SCAN_COUNT
                )
                yield [user_id.decode() for user_id, _ in found]
                cursor = cursor or None

    async def all_scores(self) -> dict[str, int]:
        """Every member's score, as readers see them now; for proofs, not for pages."""
        with translated():
            current = await self._redis.get(f"{self._prefix}:current")
            if current is None:
                return {}
            found = await self._redis.zrange(self._key(int(current), "board"), 0, -1, withscores=True)
        return {user_id.decode(): int(member_score) for user_id, member_score in found}

    async def versions_of(self, epoch: int, user_ids: Sequence[str]) -> list[int | None]:
        """The versions Redis holds of these users."""
        if not user_ids:
            return []
        with translated():
            found = await self._redis.hmget(self._key(epoch, "versions"), list(user_ids))
        return [int(version) if version is not None else None for version in found]

    def _watermark(self, partition: int) -> str:
        return f"{self._topic}:{partition}"


class translated:  # noqa: N801 - reads as a statement
    """Turns the client's errors into ours, without the address' password; also those over what nobody of ours wrote."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, RedisError | OSError | TimeoutError | ValueError | OverflowError):
            said = str(error) or type(error).__name__
            raise LeaderboardUnavailable(f"Redis: {said}; check REDIS_URL and the server") from error


def redis_place(settings: ProjectorSettings) -> str:
    """Which server, without the password (I12)."""
    parts = urlsplit(settings.redis_url.get_secret_value())
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}{parts.path or ''}"


def connect_redis(settings: ProjectorSettings, **changes: Any) -> Redis:
    """A client that connects when first used; to be closed. Raises SettingsError on a URL that is none."""
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "socket_keepalive": True,
        # a write that failed is healed from PostgreSQL, and waiting for it would hold up the next
        "retry": Retry(NoBackoff(), 0),
        "client_name": "solve-projector",
    }
    if settings.redis_ssl_cafile:
        options["ssl_ca_certs"] = str(settings.redis_ssl_cafile)
    try:
        return Redis.from_url(settings.redis_url.get_secret_value(), **options | changes)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"REDIS_URL is not a Redis address: {error}; write redis://host:port/0") from error


@asynccontextmanager
async def open_leaderboard(settings: ProjectorSettings, topic: str) -> AsyncIterator[Leaderboard]:
    """Connects when first used. Raises SettingsError on a URL that is none."""
    redis = connect_redis(settings)
    try:
        yield Leaderboard(redis, settings.leaderboard_prefix, topic)
    finally:
        await redis.aclose()


def _escaped(pattern: str) -> str:
    return "".join(f"\\{char}" if char in "[]*?\\" else char for char in pattern)
