"""Every reader over HTTP, compared with the oracle: from Redis, from PostgreSQL, and after a cold rebuild.

An answer must say what stood at its `as_of` or later: a batch that was committed by then may not be missing.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from solve_api.profiles import kept_solves, search
from solve_api.ranking import freshness
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.store.postgresql import open_pool
from solve_runtime.sql import queries
from tests.api import expected
from tests.api.expected import BEFORE_EVERYTHING, time_of
from tests.api.readers import Readers, lose
from tests.api.served import Served, serving
from tests.events import BEGIN, registered, solved
from tests.waiting import until
from tests.world import World

OFFSETS_SQL = queries("solve_projector.store", "offsets")

UNLIMITED = "1000000/second"
USERS = ["a", "b", "A", "é", "𝄞", "zz"]
NAMES = ["x", "Straße", "STRASSE", "ﬁx", "Fi", "A", "𝄞"]
STARTS = ["s", "STRASS", "ß", "fi", "ａ", "x", "é", "\U0001d11e", "z", "nobody"]
# clocks that change at midnight, by half an hour, in the south, and a zone that was on both sides of the date line
ZONES = [
    *("UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"),
    *("Pacific/Apia", "America/St_Johns"),
]
SHIFTS = [timedelta(seconds=seconds) for seconds in (-0.000001, 0, 0.000001, 0.5, 3600)]

# of a submission: what, whose, of which problem, which, judged in which second, handed in near which local midnight
midnights = st.tuples(st.sampled_from(ZONES), st.sampled_from([0, 0, 0, 1, 1, 2, 7, 31, 200]), st.sampled_from(SHIFTS))
drafts = st.tuples(
    st.sampled_from(
        ["solve"] * 6
        + ["revocation", "registration", "registration", "unlisting", "removal", "withdrawal", "restoration"]
    ),
    st.sampled_from(USERS),
    st.sampled_from(["p", "q", "r"]),
    st.sampled_from(["1", "2"]),
    st.integers(0, 3),
    st.none() | midnights,
    st.sampled_from(["", "cpp", "c", "Python"]),
    st.sampled_from(NAMES),
)
ACTIONS = ["written", "written", "written", "lost", "emptied", "evicted", "repaired"]
steps = st.tuples(st.lists(drafts, max_size=14), st.integers(0, 2), st.sampled_from(ACTIONS), st.booleans())


@pytest_asyncio.fixture
async def readers(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Readers]:
    """An API that checks Redis often, knows only a few matches as few, and keeps what anybody's solves say."""
    monkeypatch.setattr(kept_solves, "LEAST_SOLVED", 0)
    monkeypatch.setattr(freshness, "CHECK_INTERVAL_S", 0.02)
    monkeypatch.setattr(search, "FEW_KEYS", 4)
    await world.run_once()  # gives Redis its first epoch
    async with (
        open_pool(world.settings) as pool,
        open_leaderboard(world.settings, world.connection.topic) as board,
        world.raw_producer() as producer,
        serving(world, api_read_rate=UNLIMITED) as api,
    ):
        await pool.execute(
            OFFSETS_SQL["add_partitions"], world.connection.topic, [0, 1, 2]
        )  # an empty log may lack them
        yield Readers(world, api, pool, board, producer)


async def ask_everything(readers: Readers, rng: random.Random) -> None:
    """Everything at once, so that questions share round trips."""
    limits = [1, 2, 3, 50]
    asked = [
        *(readers.profile(rng.choice(USERS), rng.choice(ZONES)) for _ in range(3)),
        *(readers.solves(user, rng.choice(limits)) for user in USERS),
        readers.search(rng.choice(STARTS), rng.choice(limits)),
        readers.board("all", "UTC", rng.choice(limits)),
        readers.around("all", "UTC", rng.choice(USERS), rng.choice(limits)),
    ]
    period, zone = rng.choice(list(expected.PERIODS)), rng.choice(ZONES)
    asked += [
        readers.board(period, zone, rng.choice(limits)),
        readers.around(period, zone, rng.choice(USERS), rng.choice(limits)),
    ]
    rng.shuffle(asked)
    async with asyncio.TaskGroup() as together:
        for one in asked:
            together.create_task(one)


# an example begins with what the ones before it left: no smaller one is sought
@settings(
    max_examples=12,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(steps, min_size=1, max_size=4),
    st.sampled_from([False, False, False, True]),
    st.integers(0, 2**32).map(random.Random),
)
async def test_every_reader_answers_as_the_oracle_does(
    readers: Readers, some: list[Any], rebuilt: bool, rng: random.Random
) -> None:
    in_redis = True
    for batch, partition, action, asks_at_once in some:
        recounted = await readers.apply(readers.events_of(batch), partition, to_redis=action != "lost")
        if action in {"emptied", "evicted"}:
            await lose(readers.world, ":board" if action == "evicted" else "")
        is_repaired = recounted or action == "repaired"
        if is_repaired:
            await readers.repair()
        in_redis = is_repaired or (in_redis and (action == "written" or (action == "lost" and not batch)))
        if asks_at_once:
            await ask_everything(readers, rng)
    if rebuilt:
        await readers.rebuild()
        in_redis = True
    if in_redis:
        await readers.api.until_from("redis")
    await ask_everything(readers, rng)
    await until_new(readers, "all", "UTC")
    await until_new(readers, rng.choice(list(expected.PERIODS)), rng.choice(ZONES))
    await readers.repair()


async def until_new(readers: Readers, period: str, zone: str) -> None:
    """Waits until pages have everything, and looks whether they have it once and in order."""

    async def shown() -> list[Any]:
        pages = await readers.board(period, zone, 2)
        newest = readers.states[-1].committed_at
        return pages if all(time_of(one["as_of"]) >= newest for one in pages) else []

    pages = await until(shown, f"all pages of {period} to be new", poll_s=0.01)
    users = [one["user_id"] for page in pages for one in page["entries"]]
    board = expected.board_of(readers.states[-1].model, period, zone, pages[0]["begins_at"])
    assert users == [user for user, _, _ in board]


LIVE: dict[str, tuple[str, Callable[[Any], int]]] = {
    "profile": ("/api/users/u", lambda body: body["problems_solved"]),
    "days": ("/api/users/u", lambda body: sum(one["solved"] for one in body["days"])),
    "solves": ("/api/users/u/solves?limit=100", lambda body: len(body["solves"])),
    "search": ("/api/users?q=u", lambda body: body["users"][0]["problems_solved"]),
    "board": ("/api/leaderboard", lambda body: count_in(body["entries"])),
    "around": ("/api/leaderboard?around=v&limit=3", lambda body: count_in(body["entries"])),
    "year": ("/api/leaderboard?period=year", lambda body: count_in(body["entries"])),
}
LIVE_SOLVES = 24


def count_in(entries: list[Any]) -> int:
    return next((one["problems_solved"] for one in entries if one["user_id"] == "u"), 0)


Committed = list[tuple[datetime, int]]  # at each time, u had solved so many


async def note_commits(world: World, committed: Committed) -> None:
    async with world.database() as database:
        while committed[-1][1] < LIVE_SOLVES:
            count = await database.fetchval("SELECT problems_solved FROM users WHERE user_id = 'u'")
            if count > committed[-1][1]:
                committed.append((datetime.now(UTC), count))
            await asyncio.sleep(0.002)


async def read_to_the_end(api: Served, name: str, committed: Committed) -> None:
    path, count_of = LIVE[name]
    count = 0
    while count < LIVE_SOLVES:
        found = await api.anybody.get(path)
        if found.status_code == 200:  # not yet, while it is computed for the first time
            count, as_of = count_of(found.json()), time_of(found.json()["as_of"])
            assert count >= max(least for at, least in committed if at <= as_of), (name, as_of)


async def write_solves(world: World, seconds: float) -> None:
    for number in range(LIVE_SOLVES):
        await world.publish([solved(str(number), "u", f"p{number}", seconds + number / 100)])
        if number % 8 == 7:
            await lose(world, ":board")


async def test_no_answer_is_older_than_it_says_while_a_projector_writes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while Redis lacks the newest solve, and in the moment after it has lost its board."""
    committed: Committed = [(BEFORE_EVERYTHING, 0)]
    write_board = Leaderboard.write

    async def write_late(board: Leaderboard, epoch: int, standings: Any, ranges: Any = None) -> list[int]:
        newest = max((one.problems_solved for one in standings if one.user_id == "u"), default=LIVE_SOLVES)
        await until(lambda: committed[-1][1] > newest or newest >= LIVE_SOLVES, "the next solve", poll_s=0.01)
        return await write_board(board, epoch, standings, ranges)

    seconds = (datetime.now(UTC) - BEGIN).total_seconds()
    await world.publish([registered("u"), registered("v"), solved("0", "v", "p", seconds)])
    async with world.running(), serving(world, api_read_rate=UNLIMITED) as api:
        await until(lambda: world.value("SELECT problems_solved FROM users WHERE user_id = 'v'"), "the first solve")
        await api.until_from("redis")
        monkeypatch.setattr(freshness, "CHECK_INTERVAL_S", 0.2)
        monkeypatch.setattr(Leaderboard, "write", write_late)
        readers = [read_to_the_end(api, name, committed) for name in LIVE]
        async with asyncio.timeout(90):
            async with asyncio.TaskGroup() as together:
                for one in (note_commits(world, committed), write_solves(world, seconds), *readers):
                    together.create_task(one)
