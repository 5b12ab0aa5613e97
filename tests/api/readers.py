"""Asks an API everything and compares the answers with the oracle's, while a test decides what its stores have."""

from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from bench.oracle import Model
from solve_projector.domain.batch import Batch, DecodedRecord, fold
from solve_projector.leaderboard.audit import repair_board
from solve_projector.leaderboard.board import Leaderboard
from solve_projector.live.recounts import Recounts
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.store.counts import apply_rows
from solve_schemas.events import Event
from solve_schemas.record import encode
from tests.api import expected
from tests.api.expected import BEFORE_EVERYTHING, State, time_of
from tests.api.served import Served
from tests.events import registered, removed, restored, revoked, solved, withdrawn
from tests.projector.store.test_counts import Record
from tests.waiting import until
from tests.world import World

TABLES = (
    "users",
    "user_removals",
    "problem_facts",
    "problem_recounts",
    "verdicts",
    "solves",
    "superseded_verdicts",
    "parked_events",
    "dead_letters",
    "partition_offsets",
)


class Readers:
    """An API, and a projector whose every step a test decides: what PostgreSQL gets, and what Redis."""

    def __init__(
        self, world: World, api: Served, pool: asyncpg.Pool, board: Leaderboard, producer: AIOKafkaProducer
    ) -> None:
        self.world, self.api = world, api
        self._pool, self._board, self._producer = pool, board, producer
        self._ends = dict.fromkeys(range(3), 0)
        self._judged = 0
        self.states = [State(BEFORE_EVERYTHING, world.model([]))]

    def events_of(self, some: Sequence[Any]) -> list[Event]:
        """Drafts as events, judged after all that came before."""
        self._judged += 10
        now = datetime.now(UTC)
        return [self._event(now, *one) for one in some]

    def _event(self, now: datetime, *draft: Any) -> Event:
        kind, user, problem, submission, second, midnight, language, name = draft
        judged = self._judged + second
        if kind == "registration":
            return registered(user, judged, name)
        if kind == "unlisting":
            return registered(user, judged, name, listed=False)
        if kind == "removal":
            return removed(user, judged, erase=second > 1)
        if kind in ("withdrawal", "restoration"):
            return withdrawn(problem, judged) if kind == "withdrawal" else restored(problem, judged)
        if kind == "revocation":
            return revoked(submission, user, problem, judged)
        handed_in = None
        if midnight:
            zone, days, shift = midnight
            day = now.astimezone(ZoneInfo(zone)).date() - timedelta(days=days)
            handed_in = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) + shift
        return solved(submission, user, problem, judged, submitted_at=handed_in, language=language)

    async def apply(self, some: list[Event], partition: int, *, to_redis: bool) -> bool:
        """One batch, as a projector does: in the log, in PostgreSQL, and perhaps in Redis; whether users were counted
        anew after it, which only `repair` brings there.
        """
        if not some:
            return False
        begin = self._ends[partition]
        self._ends[partition] += len(some)
        records = []
        for number, event in enumerate(some, begin):
            record = encode(event)
            sent = await self._producer.send_and_wait(
                self.world.connection.topic, record.value, record.key, partition, headers=record.headers
            )
            assert sent.offset == number
            records.append(DecodedRecord(Record(partition, number), event))
        self.world.published += some
        rows = fold(Batch({partition: (begin, begin + len(some))}, records))
        async with self._pool.acquire() as connection:
            applied = await apply_rows(connection, self.world.connection.topic, rows)
        await Recounts(self._pool).all()
        self._note()
        if to_redis:
            await self._board.write(applied.epoch, applied.standings, applied.ranges)
        return applied.recounts_asked > 0

    def _note(self) -> None:
        self.states.append(State(datetime.now(UTC), self.world.model()))

    async def repair(self) -> None:
        """Redis with everything."""
        await repair_board(self._pool, self._board, self.world.connection.topic, 0)

    async def rebuild(self) -> None:
        """Tables that are made from the log alone."""
        # a TRUNCATE and a board that is built meanwhile could wait for each other
        await self._pool.execute(";".join(f"DELETE FROM {table}" for table in TABLES))
        self.states.append(State(datetime.now(UTC), self.world.model([])))
        options = ReplayOptions(workers=1)
        report = await replay(self.world.connection, self.world.settings, options, lambda *_: None)
        assert report.cold
        self._note()

    def allowed(self, as_of: str) -> list[Model]:
        """What an answer may say: all that was committed before its `as_of`, and perhaps what came later."""
        earliest = max(number for number, one in enumerate(self.states) if one.committed_at <= time_of(as_of))
        return [one.model for one in self.states[earliest:]]

    def check(self, said: object, as_of: str, of: Callable[[Model], object]) -> None:
        """What was said is what the oracle has of one of the states that `as_of` allows."""
        models = self.allowed(as_of)
        assert any(said == of(model) for model in models), (said, [of(model) for model in models], as_of)

    async def profile(self, user: str, zone: str) -> None:
        """A profile, with its rank."""
        model = self.states[-1].model
        place = next((one for one in model.board() if one[0] == user), None)

        async def answered() -> httpx.Response | None:
            nonlocal started
            started = datetime.now(UTC)
            found = await self.api.anybody.get("/api/user", params={"id": user, "tz": zone})
            return None if place and found.json()["rank"] is None else found  # until the board is computed

        started = datetime.now(UTC)
        found = await until(answered, "a rank", poll_s=0.01)
        one = model.users.get(user)
        assert found.status_code == (404 if one is None else 410 if one.removed else 200), found.text
        if found.status_code != 200:
            return
        body = found.json()
        assert started <= time_of(body["as_of"]) <= datetime.now(UTC)
        streak, rank, rank_as_of = (body.pop(name) for name in ("current_streak", "rank", "rank_as_of"))
        for name in ("version", "as_of"):
            body.pop(name)
        assert typed(body) == expected.profile_of(model, user, zone)
        days = [one["day"] for one in typed(body)["days"]]
        todays = {moment.astimezone(ZoneInfo(zone)).date() for moment in (started, datetime.now(UTC))}
        assert streak in {expected.current_streak(days, today) for today in todays}
        assert (rank is None) == (place is None)
        if place:
            self.check(rank, rank_as_of, lambda then: expected.rank_of(place, then.board()))

    async def solves(self, user: str, limit: int) -> None:
        """All solves, page by page."""
        model, found, cursor = self.states[-1].model, [], None
        if user not in model.users or model.users[user].removed:
            return
        while True:
            body = await self._get("/api/user/solves", id=user, limit=limit, cursor=cursor)
            assert len(body["solves"]) <= limit
            assert (body["username"], body["problems_solved"]) == (
                model.users[user].username, expected.solved_by(model, user),
            )  # fmt: skip
            found += typed(body["solves"])
            if (cursor := body["next_cursor"]) is None:
                break
        assert found == expected.solves_of(model, user)

    async def board(self, period: str, zone: str, limit: int) -> list[Any]:
        """All pages of a board and back, each after the last place of the one before; their places and times."""
        pages, cursor, question = [], None, ("begin", None)
        while True:
            body = await self._board_page(period, zone, limit, question, cursor=cursor)
            pages.append(body)
            if (cursor := body["next_cursor"]) is None:
                break
            question = ("after", place_in(cursor))
        for _ in range(2):
            if cursor := body["previous_cursor"]:
                question = ("before", place_in(cursor))
                body = await self._board_page(period, zone, limit, question, cursor=cursor)
        return pages

    async def around(self, period: str, zone: str, user: str, limit: int) -> None:
        """The neighbours of somebody."""
        if expected.is_shown(self.states[-1].model, user):
            await self._board_page(period, zone, limit, ("around", user), around=user)

    async def _board_page(self, period: str, zone: str, limit: int, question: Any, **asked: Any) -> Any:
        started = datetime.now(UTC)
        body = await self._get("/api/leaderboard", period=period, tz=zone, limit=limit, **asked)
        begins_at = body["begins_at"]
        if period != "all":
            assert expected.is_whole_period(period, zone, begins_at, body["ends_at"])
            labels = {expected.label_of(period, zone, moment) for moment in (started, datetime.now(UTC))}
            assert expected.label_of(period, zone, time_of(begins_at)) in labels
        users = self.states[-1].model.users
        for one in self._entries(body):
            assert one.pop("username") == users[one["user_id"]].username
        said = {
            "total": body["total"],
            "entries": typed(body["entries"]),
            "me": typed(body["me"]),
            "next": body["next_cursor"] is not None,
            "previous": body["previous_cursor"] is not None,
        }
        self.check(
            said,
            body["as_of"],
            lambda model: self._without_hidden(
                expected.page_of(expected.board_of(model, period, zone, begins_at), question, limit)
            ),
        )
        return body

    def _without_hidden(self, page: dict[str, Any]) -> dict[str, Any]:
        """An older page, without those who are hidden since."""
        now = self.states[-1].model
        kept = [one for one in page["entries"] if expected.is_shown(now, one["user_id"])]
        mine = page["me"] and (page["me"] if expected.is_shown(now, page["me"]["user_id"]) else None)
        return page | {"entries": kept, "me": mine}

    @staticmethod
    def _entries(body: Any) -> list[Any]:
        return [*body["entries"], *([body["me"]] if body["me"] else [])]

    async def search(self, text: str, limit: int) -> None:
        """All pages of a search; of many matches, those of the time of the blocks, by newer counts."""
        model = self.states[-1].model
        pages = [await self._get("/api/users", q=text, limit=limit)]
        while cursor := pages[-1]["next_cursor"]:
            pages.append(await self._get("/api/users", q=text, limit=limit, cursor=cursor))
        found = [one for page in pages for one in page["users"]]
        for one in found:
            user = one["user_id"]
            assert (one["username"], one["problems_solved"]) == (
                model.users[user].username, expected.solved_by(model, user),
            )  # fmt: skip
        users = [one["user_id"] for one in found]
        matching = expected.found_by(model, text)
        as_of = min(page["as_of"] for page in pages)
        if not all(page["complete"] for page in pages) or len({len(self.allowed(page["as_of"])) for page in pages}) > 1:
            assert set(users) <= set(matching)  # blocks were made between two pages
        else:
            self.check(users, as_of, lambda then: [user for user in matching if expected.is_shown(then, user)])

    async def _get(self, path: str, **asked: Any) -> Any:
        sent = {name: value for name, value in asked.items() if value is not None}

        async def answered() -> httpx.Response | None:
            found = await self.api.anybody.get(path, params=sent)
            return None if found.status_code == 503 and "being computed" in found.text else found

        found = await until(answered, "a board to be computed")
        assert found.status_code == 200, found.text
        return found.json()


async def lose(world: World, what: str = "") -> bool:
    """Redis without anything of this world, or without the keys that end so; whether anybody was on the board."""
    async with Redis.from_url(world.settings.redis_url.get_secret_value()) as redis:
        keys = await redis.keys(f"*{world.settings.leaderboard_prefix}*{what}")
        boards = [key for key in keys if key.endswith(b":board")]
        for key in keys:
            await redis.delete(key)
    return bool(boards)


def typed(said: Any) -> Any:
    """JSON with its times and days as such."""
    if isinstance(said, list):
        return [typed(one) for one in said]
    if isinstance(said, dict):
        return {name: typed_as(name, one) for name, one in said.items()}
    return said


def typed_as(name: str, said: Any) -> Any:
    if said is None:
        return None
    return date.fromisoformat(said) if name == "day" else time_of(said) if name.endswith("_at") else typed(said)


def place_in(cursor: str) -> expected.Place:
    """Where a page's last or first place was, also if it is shown no more: mode, count, second and user of a cursor."""
    _, solved, second, user = b64decode(cursor + "=" * (-len(cursor) % 4), b"-_").decode().split(".", 3)
    return user, int(solved), datetime.fromtimestamp(int(second), UTC)
