"""The leaderboard: a cache in Redis, written only with absolute and versioned values (I6).

One sorted set, read ascending: score = -(problems_solved * 2^32 + 2^32 - 1 - last_solved_at in whole seconds), exact in
a double up to 2,097,151 problems; equal scores sort by the bytes of the user id. A member is written only with a newer
version, so late, repeated and concurrent writes are harmless. A watermark per partition says up to which offset of the
log everything is on it; a crash before a write leaves it stale, and the reconciler repairs that. Versions and
watermarks belong to an epoch, named in the keys. A short stream reports whose standing changed.
Nothing here is ever read to compute a count.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from solve_projector.domain.ranking import BoardPage, Mode, PageRequest, RankKey
from solve_projector.domain.rule import whole_seconds
from solve_projector.leaderboard.redis_client import RedisClient, connect_redis
from solve_projector.settings import ProjectorSettings
from solve_projector.store.counts import Standing

SECONDS_RANGE = 2**32
SCAN_COUNT = 1000
CHANGES_KEPT = 1000  # about; as in lua/write_standings.lua


@cache
def _script(name: str) -> AsyncScript:
    """One of our scripts, to be called with a client; nothing connects here."""
    text = files("solve_projector").joinpath("leaderboard", "lua", f"{name}.lua").read_text(encoding="utf-8")
    return Redis().register_script(text)


def score(problems_solved: int, last_solved_at: datetime) -> int:
    """The member's score; smaller is better."""
    return _score(problems_solved, whole_seconds(last_solved_at))


def _score(problems_solved: int, seconds: int) -> int:
    return -(problems_solved * SECONDS_RANGE + SECONDS_RANGE - 1 - seconds)


def rank_key(user_id: str, member_score: bytes) -> RankKey:
    """What a member and its score say."""
    problems_solved, seconds = divmod(int(-float(member_score)), SECONDS_RANGE)
    return RankKey(problems_solved, SECONDS_RANGE - 1 - seconds, user_id)


def changes_key(prefix: str) -> str:
    """The stream of changed standings. It belongs to no epoch, so that its ids only grow."""
    return f"{{{prefix}}}:changes"


class BoardRow(NamedTuple):
    """One row of the leaderboard."""

    rank: int
    user_id: str
    problems_solved: int
    last_solved_at: datetime


@dataclass(frozen=True, slots=True)
class BoardState:
    """What Redis holds: the epoch that readers see (None: no leaderboard), and the watermarks of one epoch."""

    current: int | None
    watermarks: Mapping[int, int]
    members: int
    versions: int
    missing: int = (
        0  # how many members it has less than joined it; below 0 where that was not counted from the beginning
    )
    server: str = ""  # the run id of the Redis that answered
    written_to: str = ""  # of the one that was given all users

    @property
    def is_of_another_server(self) -> bool:
        """Whether Redis was restarted or failed over, and may have lost what it had not saved or replicated."""
        return bool(self.server) and self.server != self.written_to

    def below(self, offsets: Mapping[int, int]) -> dict[int, int]:
        """Watermarks that are below these offsets."""
        return {p: self.watermarks.get(p, 0) for p, at in offsets.items() if self.watermarks.get(p, 0) < at}


class Leaderboard:
    """The leaderboard of one topic in one Redis. Every method raises LeaderboardUnavailable if Redis fails."""

    def __init__(self, redis: RedisClient, prefix: str, topic: str) -> None:
        # the braces keep all keys in one slot of a Redis Cluster, as a script needs
        self._redis = redis
        self._prefix = f"{{{prefix}}}"
        self._changes = changes_key(prefix)
        self._topic = topic
        self._pointer = f"{self._prefix}:current"

    def _key(self, epoch: int, what: str) -> str:
        return f"{self._prefix}:{epoch}:{what}"

    async def write(
        self, epoch: int, standings: Iterable[Standing], ranges: Mapping[int, tuple[int, int]] | None = None
    ) -> list[int]:
        """Writes newer standings, moves watermarks over `ranges`, and reports whose standing changed.

        Returns the partitions whose watermark is below their range: an earlier write is missing.
        """
        users: list[Any] = []
        for user_id, problems_solved, last_solved_at, version in standings:
            users += (user_id, version, score(problems_solved, last_solved_at) if last_solved_at else "")
        moves = [part for p, (begin, end) in (ranges or {}).items() for part in (self._watermark(p), begin, end)]
        keys = [self._key(epoch, "board"), self._key(epoch, "versions"), self._key(epoch, "watermarks"), self._changes]
        stale = await self._run("write_standings", keys, [epoch, len(users) // 3, *users, *moves])
        return [int(name.rpartition(b":")[2]) for name in stale]

    async def raise_watermarks(self, epoch: int, offsets: Mapping[int, int], server: str = "") -> None:
        """Records that everything below these offsets is on the leaderboard, and which server was given all users."""
        args = [part for partition, offset in offsets.items() for part in (self._watermark(partition), offset)]
        await self._run("raise_watermarks", [self._key(epoch, "watermarks")], [server, *args])

    async def state(self, epoch: int | None = None) -> BoardState:
        """What Redis holds of `epoch`, or of the one that readers see, and which that is."""
        args = [self._prefix, "" if epoch is None else epoch]
        head = f"{self._topic}:".encode()
        async with self._answer("read_state", [self._pointer], args) as (current, fields, members, versions, server):
            found = dict(zip(fields[::2], fields[1::2], strict=True))
            watermarks = {
                int(name[len(head) :]): int(at)
                for name, at in found.items()
                if name.startswith(head) and name[len(head) :].isdigit()
            }
            written_to, shown = found.get(b"server", b"").decode(), int(current) if current else None
            missing = int(found.get(b"joined", 0)) - members
            return BoardState(shown, watermarks, members, versions, missing, server.decode(), written_to)

    async def current_epoch(self) -> int | None:
        """The epoch that readers see; None if there is no leaderboard."""
        async with self._redis.session() as redis:
            current = await redis.get(self._pointer)
            return int(current) if current is not None else None

    async def newest_epoch(self) -> int:
        """The greatest epoch that Redis has anything of, published or not; 0 if it has none."""
        return max([await self.current_epoch() or 0, *[epoch async for epoch, _ in self._epoch_keys()]])

    async def _current_board(self) -> str | None:
        """The key of the sorted set that readers see now."""
        epoch = await self.current_epoch()
        return None if epoch is None else self._key(epoch, "board")

    async def publish(self, epoch: int) -> bool:
        """Switches readers to this epoch, reports the switch, and removes older ones; False if they see a newer one."""
        if not await self._run("publish", [self._pointer, self._changes], [epoch]):
            return False
        async for older, key in self._epoch_keys():
            if older < epoch:
                async with self._redis.session() as redis:
                    await redis.unlink(key)
        return True

    async def _epoch_keys(self) -> AsyncIterator[tuple[int, bytes]]:
        head = f"{self._prefix}:".encode()
        async with self._redis.session() as redis:
            async for key in redis.scan_iter(match=f"{_escaped(self._prefix)}:[0-9]*:*", count=SCAN_COUNT):
                if (epoch := key[len(head) :].partition(b":")[0]).isdigit():
                    yield int(epoch), key

    async def _run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        async with self._answer(script, keys, args) as answer:
            return answer

    @asynccontextmanager
    async def _answer(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> AsyncIterator[Any]:
        """What a script says. Whoever cannot read it, because nobody of ours wrote it, finds Redis unavailable."""
        async with self._redis.session() as redis:
            yield await _script(script)(keys, args, redis)

    async def rows_of(self, user_ids: Sequence[str]) -> dict[str, BoardRow]:
        """The rows of those users who are on the leaderboard that readers see now."""
        page = await self.read(PageRequest(0), user_ids)
        return {
            user_id: BoardRow(rank, user_id, key.problems_solved, datetime.fromtimestamp(key.seconds, UTC))
            for user_id, (rank, key) in (page.places.items() if page else ())
        }

    async def scores_of(self, user_ids: Sequence[str]) -> list[int | None]:
        """Scores that readers see now; None for a user who is not on the leaderboard."""
        if (board := await self._current_board()) is None or not user_ids:
            return [None] * len(user_ids)
        async with self._redis.session() as redis:
            found = await redis.zmscore(board, list(user_ids))
            return [int(member_score) if member_score is not None else None for member_score in found]

    async def read(self, page: PageRequest, user_ids: Sequence[str] = ()) -> BoardPage | None:
        """A page and some users' ranks, all of one moment; None if there is no leaderboard."""
        return (await self.read_all([(page, user_ids)]))[0]

    def seen(self, epoch: int, offsets: Mapping[int, int], missing: int) -> bytes:
        """What a reader has found in Redis, for `read_all`: an epoch, its watermarks, how many members miss."""
        return msgspec.json.encode((epoch, missing, {self._watermark(p): at for p, at in offsets.items()}))

    async def read_all(
        self, asked: Sequence[tuple[PageRequest, Sequence[str]]], seen: bytes = b""
    ) -> list[BoardPage | None]:
        """As `read`, several in one round trip and of one moment; None if Redis has lost what was `seen` in it."""
        questions = []
        for page, user_ids in asked:
            solved, seconds, user_id = page.position
            at = str(_score(solved, seconds)) if page.mode in (Mode.AFTER, Mode.BEFORE) else ""
            questions.append((page.mode.value, page.limit, at, user_id, user_ids))
        args = [self._prefix, msgspec.json.encode(questions), seen]
        async with self._answer("read_board", [self._pointer], args) as found:
            if found is None:
                return [None] * len(asked)
            total, *pages = found
            return [_page(total, page, user_ids) for page, (_, user_ids) in zip(pages, asked, strict=True)]

    async def member_ids(self) -> AsyncIterator[list[str]]:
        """All users on the leaderboard that readers see, in chunks; some perhaps twice."""
        if (board := await self._current_board()) is None:
            return
        cursor: int | None = 0
        async with self._redis.session() as redis:
            while cursor is not None:
                cursor, found = await redis.zscan(board, cursor=cursor, count=SCAN_COUNT)
                yield [user_id.decode() for user_id, _ in found]
                cursor = cursor or None

    def _watermark(self, partition: int) -> str:
        return f"{self._topic}:{partition}"


def _page(total: int, found: Any, user_ids: Sequence[str]) -> BoardPage:
    """What the script says of one page."""
    begin, better, rows, places = found
    return BoardPage(
        total,
        begin,
        better + 1,
        [rank_key(member.decode(), found_score) for member, found_score in zip(rows[::2], rows[1::2], strict=True)],
        {
            user_id: (better + 1, rank_key(user_id, found_score))
            for user_id, better, found_score in zip(user_ids, places[::2], places[1::2], strict=True)
            if found_score
        },
    )


@asynccontextmanager
async def open_leaderboard(settings: ProjectorSettings, topic: str) -> AsyncIterator[Leaderboard]:
    """Connects when first used. Raises SettingsError on an invalid URL."""
    async with aclosing(connect_redis(settings)) as redis:
        yield Leaderboard(redis, settings.leaderboard_prefix, topic)


def _escaped(pattern: str) -> str:
    return "".join(f"\\{char}" if char in "[]*?\\" else char for char in pattern)
