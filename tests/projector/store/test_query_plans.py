"""Plans of the hot statements, in each session's settings: every row of a large table is found by an index.

A large table is read by an index condition, or in the order of an index up to a limit. A plan that reads a whole table
or index is a failure, whatever its nodes are called.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from solve_api.database import open_request_pool
from solve_projector.domain.ranking import Mode
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import newest_revision
from solve_projector.store.postgresql import connect
from solve_runtime.sql import queries
from tests.conftest import copy_of, url_of

USERS, SOLVES_EACH = 20_000, 10
# 20,000 users, of whom one in a hundred has a parked event too; solves in the order of their time, as a log gives them
IDS = "array_fill('user'::text, ARRAY[1000])"
SEED = f"""
    INSERT INTO users (user_id, username, problems_solved, last_solved_at, version)
    SELECT 'user ' || u, 'name ' || u, {SOLVES_EACH} + u % 90, '2026-01-01Z'::timestamptz + u * interval '1 minute', u
    FROM generate_series(1, {USERS}) AS u;
    INSERT INTO verdicts
    SELECT
        'user ' || (n % {USERS} + 1), 'problem ' || n / {USERS}, 'submission ' || n, true, solved_at, solved_at, 'C++',
        '', '', 0, n
    FROM generate_series(0, {USERS * SOLVES_EACH - 1}) AS n
    CROSS JOIN LATERAL (SELECT '2026-01-01Z'::timestamptz + n * interval '1 minute') AS made (solved_at);
    INSERT INTO solves SELECT user_id, problem_id, submitted_at, submission_id, language, contest_id FROM verdicts;
    INSERT INTO parked_events (
        user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
        source_partition, source_offset
    )
    SELECT
        CASE WHEN n % 100 = 0 THEN 'user ' ELSE 'nobody ' END || n, 'problem', 'parked ' || n, true, '2026-01-01Z',
        '2026-01-01Z', '', '', '', 0, n
    FROM generate_series(1, {USERS}) AS n;
    UPDATE parked_events SET acknowledged_at = now(), acknowledged_by = 'ada', acknowledged_why = ''
    WHERE source_offset % 10 > 0;
    INSERT INTO dead_letters (
        topic, partition, "offset", broker_timestamp_ms, header_names, header_values, reason, detail, user_ids,
        discarded_at, discarded_by, discarded_why
    )
    SELECT
        'log', 0, n, 0, '{{}}', '{{}}', CASE WHEN n % 2 = 0 THEN 'tombstone' ELSE 'not-json' END, '',
        ARRAY['user ' || n],
        CASE WHEN n % 10 > 1 THEN now() END, CASE WHEN n % 10 > 1 THEN 'ada' END, CASE WHEN n % 10 > 1 THEN '' END
    FROM generate_series(1, {USERS}) AS n;
    INSERT INTO leaderboard_outbox (user_id) SELECT 'user ' || n FROM generate_series(1, 50) AS n;
    INSERT INTO kept_boards
    SELECT '2026-01-01Z', '2026-01-01Z'::timestamptz + n * interval '1 second', n, 50000, now(), now(), now()
    FROM generate_series(1, 64) AS n;
    INSERT INTO kept_places
    SELECT n, 1000 * chunk, chunk, 0, '', array_fill(chunk, ARRAY[1000]), array_fill(0::bigint, ARRAY[1000]), {IDS}
    FROM generate_series(1, 64) AS n, generate_series(0, 49) AS chunk;
    INSERT INTO kept_ranks
    SELECT n, 'user ' || chunk, {IDS}, array_fill(chunk, ARRAY[1000])
    FROM generate_series(1, 64) AS n, generate_series(10, 59) AS chunk;
    INSERT INTO problem_facts SELECT 'gone ' || n, now(), true, '' FROM generate_series(1, 20) AS n;
    INSERT INTO partition_offsets (topic, partition) SELECT 'log', p FROM generate_series(0, 11) AS p;
"""
LARGE_TABLES = {"users", "verdicts", "solves", "user_search_keys"}
LIVE = [
    ("solve_projector.store", "users", "lock_users"),
    ("solve_projector.store", "users", "rename_users"),
    ("solve_projector.store", "users", "recount_users"),
    ("solve_projector.store", "user_facts", "apply_removals"),
    ("solve_projector.store", "user_facts", "next_removals"),
    ("solve_projector.store", "problem_facts", "write_problem_facts"),
    ("solve_projector.store", "problem_recounts", "next_solvers"),
    ("solve_projector.store", "verdicts", "apply_verdicts"),
    ("solve_projector.store", "verdicts", "keep_superseded"),
    ("solve_projector.store", "solves", "settle_pairs"),
    ("solve_projector.store", "solves", "settle_users"),
    ("solve_projector.leaderboard", "standings", "standings_of"),
    ("solve_projector.leaderboard", "standings", "ranked_ids"),
    ("solve_projector.leaderboard", "standings", "read_outbox"),
]
LIVE_OF_SOME_USERS = [
    ("solve_projector.store", "parked_events", "lock_parked"),
    ("solve_projector.store", "parked_events", "unpark_users"),
    ("solve_projector.store", "parked_events", "unpark_events"),
    ("solve_projector.store", "parked_events", "lock_parked_events"),
    ("solve_projector.store", "parked_events", "lock_parked_of_batch"),
    ("solve_projector.store", "dead_letters", "lock_letters_of_erased"),
    ("solve_projector.store", "dead_letters", "unread_letters"),
    ("solve_projector.store", "user_facts", "next_removals"),
]
# Idle work: what asks again and again whether something waits, however much is parked, dead-lettered or settled.
WAITING: dict[str, tuple[str, str, list[Any]]] = {
    "next_parked_users": ("solve_projector.store", "parked_events", ["", 100]),
    "parked_of_users": ("solve_projector.store", "parked_events", [["user 100", "user 200"], 100]),
    "open_dead_letters": ("solve_projector.store", "dead_letters", ["log", 100]),
    "backlog": ("solve_projector.lag", "lag", [100]),
    "open_parked": ("solve_api.operations", "parked_events", [100]),
    "outbox_ends": ("solve_api.ranking", "freshness", []),
}
WAITING_TABLES = {"users", "parked_events", "dead_letters"}
LAST_DAY = datetime(2026, 5, 18, tzinfo=UTC)
KEPT = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC))
SOME = [f"user {number}" for number in range(1, 26)]
PAGES: dict[str, tuple[str, str, list[Any]]] = {
    "profile": ("solve_api.profiles", "profile", ["user 7", "UTC", 20, None]),
    "solves_of": ("solve_api.profiles", "profile", ["user 7", LAST_DAY, "problem 1", 20]),
    "users_named": ("solve_api.profiles", "search", ["name 7", 20]),
    "users_exactly": ("solve_api.profiles", "search", ["name 7", 20]),
    "search": ("solve_api.profiles", "search", ["user 77", None, None, 20, 1_000, 100]),
    "search of many": ("solve_api.profiles", "search", ["u", 5, "user 7", 20, 1_000, 100]),
    "user_record": ("solve_api.operations", "user_records", ["user 7", 10_000]),
    "find_users": ("solve_api.operations", "user_records", ["user 77", 50]),
    "problem_record": ("solve_api.operations", "problem_records", ["problem 7"]),
    "newer_standings": ("solve_api.live", "standings", [SOME, [1] * len(SOME)]),
    "build_board": ("solve_api.ranking", "kept_boards", [LAST_DAY, LAST_DAY.replace(hour=1), False, 0]),
    "boards_of": ("solve_api.ranking", "kept_boards", [[KEPT[0]], [KEPT[1]]]),
}
HIDDEN = "users_hidden_idx"  # holds the few users who are on no board
READ_BOARD = queries("solve_api.ranking", "kept_boards")["read_board"]


@pytest_asyncio.fixture(scope="module")
async def seeded(servers: Mapping[str, str], template: str) -> AsyncIterator[ProjectorSettings]:
    """The database of a small site, with statistics."""
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    name = await copy_of(template, admin)
    url = url_of(servers["DATABASE_URL"], name)
    database = await asyncpg.connect(url, server_settings={"solve.revision": newest_revision()})
    await database.execute(SEED)
    await database.execute(queries("solve_api.profiles", "search")["make_blocks"])
    await database.execute("VACUUM ANALYZE")
    await database.close()
    yield ProjectorSettings(database_url=SecretStr(url))
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


def plan_of(explained: str) -> dict[str, Any]:
    """The root node."""
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


async def generic_plan(connection: asyncpg.Connection, sql: str) -> dict[str, Any]:
    """The plan that a session of the projector keeps, whatever the arguments are."""
    arguments = ", ".join(["NULL"] * max(map(int, re.findall(r"\$(\d+)", sql))))
    await connection.execute(f"PREPARE hot AS {sql}")
    try:
        return plan_of(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot ({arguments})"))
    finally:
        await connection.execute("DEALLOCATE hot")


async def page_plan(connection: asyncpg.Connection, name: str) -> dict[str, Any]:
    """The plan of a statement of the API, for these arguments."""
    package, noun, arguments = (PAGES | WAITING)[name]
    explain = f"EXPLAIN (FORMAT JSON) {queries(package, noun)[name.split(maxsplit=1)[0]]}"
    return plan_of(await connection.fetchval(explain, *arguments))


def whole_reads(plan: dict[str, Any], tables: AbstractSet[str] = LARGE_TABLES, parent: str = "") -> list[str]:
    """The nodes that read a whole table or index."""
    kind, table, children = plan["Node Type"], plan.get("Relation Name"), plan.get("Plans", [])
    found = [one for child in children for one in whole_reads(child, tables, kind)]
    if table not in tables or kind == "ModifyTable" or "Index Cond" in plan or plan.get("Index Name") == HIDDEN:
        return found
    bitmaps = [child for child in children if child["Parent Relationship"] == "Outer"]
    if kind == "Bitmap Heap Scan" and all("Index Cond" in child for child in bitmaps):
        return found
    if kind in ("Index Scan", "Index Only Scan") and parent == "Limit":
        return found
    return [*found, f"{kind} on {table} by {plan.get('Index Name', 'no index')}"]


@asynccontextmanager
async def projector_session(settings: ProjectorSettings) -> AsyncIterator[asyncpg.Connection]:
    """With the limits and planner settings of live projection."""
    connection = await connect(settings)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def pages_session(settings: ProjectorSettings) -> AsyncIterator[asyncpg.Connection]:
    """With the limits and planner settings of the API."""
    async with open_request_pool(settings, 1) as pool, pool.acquire() as connection:
        yield connection


@pytest.mark.parametrize(("package", "noun", "name"), LIVE, ids=[name for *_, name in LIVE])
async def test_projection_finds_users_and_verdicts_by_an_index(
    seeded: ProjectorSettings, package: str, noun: str, name: str
) -> None:
    async with projector_session(seeded) as connection:
        assert whole_reads(await generic_plan(connection, queries(package, noun)[name])) == []


@pytest.mark.parametrize(("package", "noun", "name"), LIVE_OF_SOME_USERS, ids=[name for *_, name in LIVE_OF_SOME_USERS])
async def test_projection_finds_what_waits_for_some_users_by_an_index(
    seeded: ProjectorSettings, package: str, noun: str, name: str
) -> None:
    async with projector_session(seeded) as connection:
        plan = await generic_plan(connection, queries(package, noun)[name])
        assert whole_reads(plan, LARGE_TABLES | {"parked_events", "dead_letters"}) == []


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_finds_users_and_verdicts_by_an_index(seeded: ProjectorSettings, name: str) -> None:
    async with pages_session(seeded) as connection:
        assert whole_reads(await page_plan(connection, name), LARGE_TABLES | {"parked_events"}) == []


@pytest.mark.parametrize("name", ["profile", "solves_of"])
async def test_all_solves_of_a_user_are_looked_through_in_the_index_alone(seeded: ProjectorSettings, name: str) -> None:
    """In the table they lie a page each, and somebody has 10,000 of them."""
    async with pages_session(seeded) as connection:
        assert "'Node Type': 'Index Only Scan'" in str(await page_plan(connection, name))


@pytest.mark.parametrize("name", WAITING)
async def test_what_waits_is_counted_up_to_a_limit_by_an_index(seeded: ProjectorSettings, name: str) -> None:
    async with projector_session(seeded) as connection:
        assert whole_reads(await page_plan(connection, name), WAITING_TABLES) == []


@pytest.mark.parametrize(("name", "most"), [("backlog", 100), ("open_dead_letters", 2 * 100), ("outbox_ends", 0)])
async def test_a_count_reads_no_more_than_its_limit(seeded: ProjectorSettings, name: str, most: int) -> None:
    """Of 2,000 users with parked events, 2,000 dead letters of each of two reasons, and 50 changes."""
    package, noun, arguments = WAITING[name]
    sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {queries(package, noun)[name]}"
    async with projector_session(seeded) as connection:
        plan = plan_of(await connection.fetchval(sql, *arguments))
    assert most_read(plan) == most


def most_read(plan: dict[str, Any]) -> float:
    """Rows of one table at one place of the plan; a place that reads one at a time counts as none."""
    here = plan["Actual Rows"] * plan["Actual Loops"] if "Relation Name" in plan and plan["Actual Rows"] > 1 else 0
    return max([here, *map(most_read, plan.get("Plans", []))])


@pytest.mark.parametrize("mode", Mode)
async def test_a_page_of_a_kept_board_is_a_few_rows(seeded: ProjectorSettings, mode: Mode) -> None:
    async with pages_session(seeded) as connection:
        found = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) {READ_BOARD}", *KEPT, mode.value, 50, -7, 0, "user 7", SOME
        )
    assert whole_reads(plan_of(found), {"kept_places", "kept_ranks", "users", "solves"}) == []


async def test_an_upsert_finds_the_standing_verdict_and_solve_by_the_primary_key(seeded: ProjectorSettings) -> None:
    sql = queries("solve_projector.store", "verdicts")["apply_verdicts"]
    async with projector_session(seeded) as connection:
        plan = str(await generic_plan(connection, sql))
    assert all(f"'Conflict Arbiter Indexes': ['{table}_pkey']" in plan for table in ("verdicts", "solves"))


@pytest.mark.parametrize(
    ("drop", "name"),
    [
        ("ALTER TABLE solves DROP CONSTRAINT solves_pkey", "profile"),
        ("ALTER TABLE users DROP CONSTRAINT users_pkey", "newer_standings"),
        ("DROP INDEX solves_solved_at_idx", "build_board"),
        ("ALTER TABLE user_search_keys DROP CONSTRAINT user_search_keys_pkey", "users_named"),
        ("ALTER TABLE user_search_keys DROP CONSTRAINT user_search_keys_pkey", "search"),
    ],
)
async def test_a_dropped_index_is_noticed(seeded: ProjectorSettings, drop: str, name: str) -> None:
    async with pages_session(seeded) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(drop)
        found = whole_reads(await page_plan(connection, name))
        await transaction.rollback()
    assert found != []


@pytest.mark.parametrize("name", ["lock_users", "recount_users"])
async def test_a_dropped_index_is_noticed_in_projection_too(seeded: ProjectorSettings, name: str) -> None:
    """Its sessions never prefer a sequential scan, and have no other choice then."""
    async with projector_session(seeded) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("ALTER TABLE users DROP CONSTRAINT users_pkey")
        await connection.execute("ALTER TABLE solves DROP CONSTRAINT solves_pkey")
        found = whole_reads(await generic_plan(connection, queries("solve_projector.store", "users")[name]))
        await transaction.rollback()
    assert found != []
