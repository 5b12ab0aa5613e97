"""Counts in PostgreSQL against the plain model, in any order and any batches (I1, I2, I11)."""

import asyncio
import random
from dataclasses import dataclass
from itertools import permutations
from typing import Any
from unittest.mock import patch
from zlib import crc32

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.check import model_of
from solve_projector.domain.batch import Batch, DecodedRecord, fold
from solve_projector.errors import Overtaken, RegistrationCrossed
from solve_projector.live.recounts import Recounts
from solve_projector.live.sweep import Sweep
from solve_projector.settings import ProjectorSettings
from solve_projector.store.counts import apply_rows
from solve_projector.store.postgresql import pool_options
from solve_runtime.sql import queries
from solve_schemas.events import Event
from solve_schemas.rejection import Reason, Rejected
from tests import events as make
from tests.events import at, registered, removed, revoked, solved
from tests.world import World

OFFSETS_SQL = queries("solve_projector.store", "offsets")

TOPIC = "log"
SOLVES = "user_id, problem_id, solved_at, submission_id, language, contest_id"
SOURCES = ("", "judge", "a feed", "https://judge.example/ü")


@dataclass
class Record:
    """A record as the consumer gives it."""

    partition: int
    offset: int
    timestamp: int = 1_800_000_000_000
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes | None], ...] = ()


def source_at(partition: int, offset: int) -> str:
    """What the record there names as its source, by chance of its place; the empty string counts for none."""
    return SOURCES[crc32(f"{partition}:{offset}".encode()) % len(SOURCES)]


class Log:
    """A log whose batches the test chooses."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.ends: dict[int, int] = {}

    def batch(self, events: list[Event | Rejected], partition: int = 0) -> Batch:
        begin = self.ends.get(partition, 0)
        self.ends[partition] = begin + len(events)
        records = []
        for offset, event in enumerate(events, begin):
            headers = (("ce_source", source_at(partition, offset).encode()),)
            records.append(DecodedRecord(Record(partition, offset, headers=headers), event))
        return Batch({partition: (begin, begin + len(events))}, records)

    async def apply(self, events: list[Event | Rejected], partition: int = 0) -> None:
        await self.pool.execute(OFFSETS_SQL["add_partitions"], TOPIC, [partition])
        batch = self.batch(events, partition)
        while True:
            try:
                async with self.pool.acquire() as connection:
                    await apply_rows(connection, TOPIC, fold(batch))
            except RegistrationCrossed:
                continue
            return


@pytest.fixture
async def log(database_url: str):  # type: ignore[no-untyped-def]
    options = pool_options(ProjectorSettings()) | {"dsn": database_url}
    async with asyncpg.create_pool(**options, min_size=0, max_size=8) as pool:
        yield Log(pool)


async def tables(pool: asyncpg.Pool) -> object:
    """Everything that must not depend on order."""
    verdicts = (
        "user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, revision"
    )
    users = await pool.fetch(
        "SELECT user_id, registered_at, username, listed, removed, problems_solved, last_solved_at FROM users"
        " ORDER BY user_id"
    )
    removals = await pool.fetch("SELECT user_id, removed_at, reason, erased_at FROM user_removals ORDER BY 1")
    problems = await pool.fetch("SELECT problem_id, decided_at, withdrawn, reason FROM problem_facts ORDER BY 1")
    standing = await pool.fetch(f"SELECT {verdicts} FROM verdicts ORDER BY 1, 2, 3")
    parked = await pool.fetch(f"SELECT {verdicts} FROM parked_events ORDER BY 1, 2, 3")
    solves = await pool.fetch(f"SELECT {SOLVES} FROM solves ORDER BY 1, 2")
    return tuple([tuple(row) for row in rows] for rows in (users, removals, problems, standing, solves, parked))


async def sources_of_other_places(pool: asyncpg.Pool) -> list[Any]:
    """Rows that keep another source than that of the record which they are of."""
    kept = "SELECT source_partition, source_offset, source FROM"
    rows = await pool.fetch(f"{kept} verdicts UNION ALL {kept} parked_events")
    return [row for row in rows if row["source"] != source_at(row["source_partition"], row["source_offset"])]


def expected(events: list[Event]) -> object:
    model = model_of(events)
    users = []
    for user_id in sorted(model.users):
        one = model.solved.get(user_id)
        users.append(
            (user_id, *model.users[user_id], one.problems_solved if one else 0, one.last_solved_at if one else None)
        )
    return (
        users,
        sorted((user_id, *removal) for user_id, removal in model.removals.items()),
        sorted((problem_id, *fact) for problem_id, fact in model.problems.items()),
        sorted((*key, *verdict) for key, verdict in model.verdicts.items()),
        sorted((*pair, *first) for pair, first in model.firsts.items()),
        sorted((*key, *verdict) for key, verdict in model.parked.items()),
    )


async def empty(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "TRUNCATE users, user_removals, problem_facts, problem_recounts, verdicts, solves, superseded_verdicts, "
        "parked_events, dead_letters, partition_offsets, leaderboard_outbox"
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(make.events, max_size=14) | st.lists(make.ties, max_size=6),
    st.randoms(use_true_random=False),
    st.integers(1, 6),
)
async def test_any_order_duplication_and_batching_gives_the_models_tables(
    log: Log, events: list[Event], rng: random.Random, batch_size: int
) -> None:
    await empty(log.pool)
    log.ends.clear()
    shuffled = events + rng.choices(events, k=len(events)) if events else []
    rng.shuffle(shuffled)
    recounts = Recounts(log.pool)
    with patch("solve_projector.store.problem_recounts.SOLVES_LOOKED_AT", 2):
        for begin in range(0, len(shuffled), batch_size):
            await log.apply(shuffled[begin : begin + batch_size], partition=rng.randrange(2))
            if rng.random() < 0.3:
                await recounts.some()
        await recounts.all()
    assert await tables(log.pool) == expected(events)
    assert await sources_of_other_places(log.pool) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(make.events, max_size=10), min_size=2, max_size=2), st.integers(1, 4))
async def test_two_writers_and_a_recount_at_once_give_the_models_tables(
    log: Log, shares: list[list[Event]], batch_size: int
) -> None:
    """Whoever registered a user, or removed one, beside the other's batch is the sweep's."""
    await empty(log.pool)
    log.ends.clear()
    recounts, done = Recounts(log.pool), asyncio.Event()

    async def write(partition: int) -> None:
        for begin in range(0, len(shares[partition]), batch_size):
            await log.apply(shares[partition][begin : begin + batch_size], partition)

    async def recount() -> None:
        while not done.is_set():
            await recounts.some()

    with patch("solve_projector.store.problem_recounts.SOLVES_LOOKED_AT", 2):
        async with asyncio.TaskGroup() as beside:
            beside.create_task(recount())
            await asyncio.gather(write(0), write(1))
            done.set()
        await Sweep(log.pool, TOPIC).all()
        await recounts.all()
    assert await tables(log.pool) == expected([*shares[0], *shares[1]])
    assert await sources_of_other_places(log.pool) == []


async def test_a_batch_on_an_overtaken_offset_changes_nothing(log: Log) -> None:
    await log.apply([registered("u"), solved("1", "u", "p")])
    before = await tables(log.pool)
    stale = Batch({0: (0, 1)}, [DecodedRecord(Record(0, 0), solved("2", "u", "q"))])
    async with log.pool.acquire() as connection:
        with pytest.raises(Overtaken) as caught:
            await apply_rows(connection, TOPIC, fold(stale))
    assert (caught.value.expected, caught.value.found) == ({0: 0}, {0: 2})
    assert await tables(log.pool) == before


async def test_two_writers_on_one_user_and_problem_count_one_solve(log: Log) -> None:
    """Mis-keyed events put one user into two partitions, and two transactions meet on the same rows."""
    await log.apply([registered("u")])
    for round_number in range(30):
        problem = f"p{round_number}"
        await asyncio.gather(
            *(log.apply([solved(f"{round_number}-{writer}", "u", problem, writer)], writer) for writer in range(1, 5))
        )
    assert await log.pool.fetchval("SELECT problems_solved FROM users") == 30
    assert await log.pool.fetchval("SELECT last_solved_at FROM users") == at(1)


async def test_writers_that_take_the_same_users_in_other_orders_do_not_deadlock(log: Log) -> None:
    names = [f"u{number:02}" for number in range(20)]
    await log.apply([registered(name) for name in names])

    async def write(writer: int) -> None:
        rng = random.Random(writer)
        for turn in range(15):
            rng.shuffle(names)
            await log.apply([solved(f"{writer}-{turn}-{name}", name, f"p{turn}", turn) for name in names], writer)

    await asyncio.gather(*(write(writer) for writer in range(1, 5)))
    assert {row[0] for row in await log.pool.fetch("SELECT problems_solved FROM users")} == {15}


async def test_writers_that_register_the_same_users_do_not_deadlock(log: Log) -> None:
    async def write(writer: int) -> None:
        rng = random.Random(writer)
        for turn in range(10):
            names = [f"{turn}-{number}" for number in range(12)]
            rng.shuffle(names)
            some = [registered(name) for name in names[:8]] + [solved(f"{writer}-{name}", name, "p") for name in names]
            await log.apply(some, writer)

    await asyncio.gather(*(write(writer) for writer in range(4)))
    await Sweep(log.pool, TOPIC).all()
    registered_users = await log.pool.fetchval("SELECT count(*) FROM users")
    assert await log.pool.fetchval("SELECT count(*) FROM users WHERE problems_solved = 1") == registered_users
    left = "SELECT count(*) FROM parked_events JOIN users USING (user_id)"
    assert await log.pool.fetchval(left) == 0


async def test_a_revocation_lowers_the_last_solve_again(log: Log) -> None:
    await log.apply([registered("u"), solved("1", "u", "p", 1), solved("2", "u", "q", 2)])
    await log.apply([revoked("2", "u", "q", 3)])
    row = await log.pool.fetchrow("SELECT problems_solved, last_solved_at FROM users")
    assert tuple(row) == (1, at(1))


async def test_a_count_that_somebody_broke_is_right_again_after_the_next_revocation(log: Log) -> None:
    await log.apply([registered("u"), solved("1", "u", "p", 1), solved("2", "u", "q", 2)])
    await log.pool.execute("UPDATE users SET problems_solved = 0, last_solved_at = NULL")
    await log.apply([revoked("2", "u", "q", 3)])
    assert await log.pool.fetchval("SELECT problems_solved FROM users") == 1


async def test_an_event_of_an_unknown_user_waits_for_the_registration(log: Log) -> None:
    await log.apply([solved("1", "u", "p", 1), solved("2", "u", "q", 2)])
    assert await log.pool.fetchval("SELECT count(*) FROM users") == 0
    assert await log.pool.fetchval("SELECT count(*) FROM parked_events") == 2
    await log.apply([registered("u", 5)])
    assert await tables(log.pool) == expected([solved("1", "u", "p", 1), solved("2", "u", "q", 2), registered("u", 5)])


async def test_the_sweep_applies_events_of_users_whom_the_site_inserted(log: Log) -> None:
    await log.apply([solved("1", "u", "p", 1)])
    await log.pool.execute("INSERT INTO users (user_id, username) VALUES ('u', 'by the site')")
    assert await Sweep(log.pool, TOPIC).all() == 1
    row = await log.pool.fetchrow("SELECT username, origin, problems_solved FROM users")
    assert tuple(row) == ("by the site", "site", 1)
    assert await log.pool.fetchval("SELECT user_id FROM leaderboard_outbox") == "u"


async def test_a_sweep_goes_on_after_the_users_it_looked_at(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solve_projector.live.sweep.LOOKED_AT_ONCE", 2)
    await log.apply([solved(f"{user}-{number}", user, f"p{number}") for user in "abcde" for number in range(3)])
    await log.pool.execute("INSERT INTO users (user_id, username) VALUES ('a', ''), ('d', ''), ('e', '')")
    sweep = Sweep(log.pool, TOPIC)
    assert [await sweep.some() for _ in range(3)] == [1, 1, 1]
    await log.pool.execute("INSERT INTO users (user_id, username) VALUES ('b', ''), ('c', '')")
    assert [await sweep.some() for _ in range(2)] == [2, 0]
    assert await log.pool.fetchval("SELECT sum(problems_solved) FROM users") == 15


async def test_an_erasure_blanks_letters_of_before_of_its_batch_and_of_later(log: Log) -> None:
    """By themselves: a sweep is for transactions that cross."""
    letter = Rejected(Reason.INVALID_EVENT, "of the user k, as its key says")
    await log.apply([letter])
    await log.apply([removed("k", 1, erase=True), letter])
    await log.apply([letter])
    await log.apply([registered("k", 2), letter])
    rows = await log.pool.fetch('SELECT erased, value FROM dead_letters ORDER BY "offset"')
    assert [tuple(row) for row in rows] == [(True, None)] * 3 + [(False, b"v")]


async def test_the_log_names_a_user_whom_the_site_inserted(log: Log) -> None:
    await log.pool.execute("INSERT INTO users (user_id, username) VALUES ('u', 'zzz by the site')")
    await log.apply([registered("u", 1, "by the log")])
    assert tuple(await log.pool.fetchrow("SELECT username, origin FROM users")) == ("by the log", "log")


async def test_a_verdict_keeps_the_first_place_in_the_log_that_said_it(log: Log) -> None:
    await log.apply([registered("u"), solved("1", "u", "p", 1), solved("1", "u", "p", 1)])
    await log.apply([solved("1", "u", "p", 1)])
    assert tuple(await log.pool.fetchrow("SELECT source_partition, source_offset FROM verdicts")) == (0, 1)


@pytest.mark.parametrize("order", list(permutations([(0, 2), (1, 0), (2, 0)])))
@pytest.mark.parametrize("at_first", ["known", "unknown"])
async def test_of_one_verdict_from_several_sources_that_of_the_smallest_place_stands(
    log: Log, order: tuple[tuple[int, int], ...], at_first: str
) -> None:
    """Whoever came first: the partitions are read in any order, and a replay knows of none."""
    await log.apply([registered("u") if at_first == "known" else registered("v")], 3)
    for partition, ahead in order:
        await log.apply([solved("2", "v", "p", n) for n in range(ahead)] + [solved("1", "u", "p", 1)], partition)
    await log.apply([registered("u")], 4)
    found = await log.pool.fetchrow("SELECT source_partition, source_offset, source FROM verdicts WHERE user_id = 'u'")
    assert tuple(found) == (0, 2, source_at(0, 2))
    assert source_at(0, 2) not in {source_at(1, 0), source_at(2, 0)}


async def test_a_later_verdict_brings_its_source(log: Log) -> None:
    await log.apply([registered("u"), solved("1", "u", "p", 1)])
    places = []
    for offset in range(2, 12):
        await log.apply([solved("1", "u", "p", offset)])
        places.append(await log.pool.fetchval("SELECT source FROM verdicts"))
    assert places == [source_at(0, offset) for offset in range(2, 12)]
    assert len(set(places)) > 2


async def test_versions_rise_with_each_change_and_not_without(log: Log) -> None:
    await log.apply([registered("u"), solved("1", "u", "p", 1)])
    first = await log.pool.fetchval("SELECT version FROM users")
    await log.apply([solved("1", "u", "p", 1), solved("9", "u", "p", 9)])
    assert await log.pool.fetchval("SELECT version FROM users") == first
    await log.apply([solved("2", "u", "q", 2)])
    assert await log.pool.fetchval("SELECT version FROM users") > first


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(solved("1", "u", "p", 6, submitted_at=at(5), language="c"), id="another one, of the same time"),
        pytest.param(solved("2", "u", "p", 6, submitted_at=at(5), language="c"), id="another language"),
        pytest.param(solved("2", "u", "p", 6, submitted_at=at(5), contest_id="round"), id="another contest"),
        pytest.param(solved("1", "u", "p", 4), id="an earlier one"),
    ],
)
async def test_a_version_stands_for_all_that_solves_say(log: Log, change: Event) -> None:
    await log.apply([registered("u"), solved("2", "u", "p", 5)])
    first = await log.pool.fetchrow("SELECT version, solves::text FROM users JOIN solves USING (user_id)")
    await log.apply([change])
    second = await log.pool.fetchrow("SELECT version, solves::text FROM users JOIN solves USING (user_id)")
    assert second[1] != first[1]
    assert second[0] > first[0]


async def test_the_two_upserts_state_one_rule() -> None:
    """Otherwise a parked event could have another outcome than the same event applied at once."""
    upserts = (
        queries("solve_projector.store", "verdicts")["apply_verdicts"],
        queries("solve_projector.store", "parked_events")["park_events"],
    )
    rules = [text.split("ON CONFLICT")[1].split("RETURNING")[0] for text in upserts]
    plain = [
        " ".join(line for line in rule.splitlines() if not line.strip().startswith("--")).split() for rule in rules
    ]
    assert plain[0] == plain[1]


async def test_counting_in_sql_and_in_python_agree_on_ten_thousand_verdicts(log: Log, world: World) -> None:
    rng = random.Random(7)
    users = [f"user {number}" for number in range(50)]
    some: list[Event] = [registered(user) for user in users]
    for _ in range(10_000):
        user, problem, submission = rng.choice(users), f"p{rng.randrange(40)}", f"s{rng.randrange(3000)}"
        kind = solved if rng.random() < 0.7 else revoked
        some.append(kind(submission, user, problem, rng.randrange(10_000)))
    for begin in range(0, len(some), 1000):
        await log.apply(some[begin : begin + 1000])
    assert await tables(log.pool) == expected(some)
    assert await sources_of_other_places(log.pool) == []
