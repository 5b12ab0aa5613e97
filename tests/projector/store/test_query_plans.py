"""Plans of the hot statements, in each session's settings: every row of a large table is found by an index.

A large table may be read in three ways: by an index condition, in the order of an index up to a limit, or (periods) by a
block range index. A plan that walks a whole table or index is a failure, whatever its node is called.
"""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import connect
from solve_runtime.sql import queries
from tests.conftest import url_of

DATABASE = "t_query_plans"
USERS, SOLVES_EACH = 20_000, 10
LARGE_TABLES = {"users", "verdicts"}
# 20,000 users, of whom one in a hundred has a parked event too; solves in the order of their time, as a log gives them
SEED = f"""
    INSERT INTO users (user_id, username, problems_solved, last_solved_at, version)
    SELECT 'user ' || u, 'name ' || u, {SOLVES_EACH} + u % 90, '2026-01-01Z'::timestamptz + u * interval '1 minute', u
    FROM generate_series(1, {USERS}) AS u;
    INSERT INTO verdicts
    SELECT
        'user ' || (n % {USERS} + 1), 'problem ' || n / {USERS}, 'submission ' || n, true, solved_at, solved_at, 'C++', '',
        '', 0, n
    FROM generate_series(0, {USERS * SOLVES_EACH - 1}) AS n
    CROSS JOIN LATERAL (SELECT '2026-01-01Z'::timestamptz + n * interval '1 minute') AS made (solved_at);
    INSERT INTO parked_events (
        user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
        source_partition, source_offset
    )
    SELECT
        CASE WHEN n % 100 = 0 THEN 'user ' ELSE 'nobody ' END || n, 'problem', 'parked ' || n, true, '2026-01-01Z',
        '2026-01-01Z', '', '', '', 0, n
    FROM generate_series(1, {USERS}) AS n;
    INSERT INTO leaderboard_outbox (user_id) SELECT 'user ' || n FROM generate_series(1, 50) AS n;
    INSERT INTO partition_offsets (topic, partition) SELECT 'log', p FROM generate_series(0, 11) AS p;
"""
LIVE = [
    ("solve_projector.store", "users", "lock_users"),
    ("solve_projector.store", "users", "rename_users"),
    ("solve_projector.store", "users", "recount_users"),
    ("solve_projector.store", "verdicts", "apply_verdicts"),
    ("solve_projector.store", "parked_events", "users_with_parked_events"),
    ("solve_projector.leaderboard", "standings", "standings_of"),
    ("solve_projector.leaderboard", "standings", "ranked_ids"),
    ("solve_projector.leaderboard", "standings", "read_outbox"),
]
LIVE_PARKED = [
    ("solve_projector.store", "parked_events", "lock_parked"),
    ("solve_projector.store", "parked_events", "unpark_events"),
]
SECOND = datetime(2026, 1, 5, tzinfo=UTC)
SOME = [f"user {number}" for number in range(1, 26)]
PAGES: list[tuple[str, str, str, list[Any]]] = [
    ("solve_api.profiles", "profile", "profile", ["user 7", "UTC", 20]),
    ("solve_api.profiles", "profile", "users_named", ["name 7", 20]),
    ("solve_api.live", "standings", "newer_standings", [SOME, [1] * len(SOME)]),
    ("solve_api.ranking", "board", "board_rows", [0, 50]),
    ("solve_api.ranking", "board", "board_before", [95, SECOND.replace(tzinfo=None), "user 7"]),
    ("solve_api.ranking", "board", "period_board", [SECOND, SECOND.replace(day=6)]),
]


@pytest_asyncio.fixture(scope="module")
async def seeded(servers: dict[str, str], template: str) -> AsyncIterator[ProjectorSettings]:
    """A database of a small site, with statistics."""
    admin = await asyncpg.connect(servers["DATABASE_URL"])
    await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE}_{template}")
    await admin.execute(f"CREATE DATABASE {DATABASE}_{template} TEMPLATE {template}")
    url = url_of(servers["DATABASE_URL"], f"{DATABASE}_{template}")
    database = await asyncpg.connect(url)
    await database.execute(SEED)
    await database.execute("VACUUM ANALYZE")
    await database.close()
    yield ProjectorSettings(database_url=SecretStr(url))
    await admin.execute(f"DROP DATABASE {DATABASE}_{template} WITH (FORCE)")
    await admin.close()


async def generic_plan(connection: asyncpg.Connection, sql: str) -> dict[str, Any]:
    """The plan that the projector's session keeps, for any arguments."""
    arguments = max(number for number in range(20) if f"${number}" in sql or number == 0)
    await connection.execute(f"PREPARE hot AS {sql}")
    try:
        nulls = f"({', '.join(['NULL'] * arguments)})" if arguments else ""
        return plan_of(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot {nulls}"))
    finally:
        await connection.execute("DEALLOCATE hot")


def plan_of(explained: str) -> dict[str, Any]:
    """The root node."""
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node and all below it; below a Limit they know that."""
    yield plan
    for child in plan.get("Plans", []):
        is_limited = plan["Node Type"] in ("Limit", "Nested Loop", "LockRows") and plan.get(
            "limited", plan["Node Type"] == "Limit"
        )
        yield from nodes_of(child | {"limited": is_limited})


def whole_scans(plan: dict[str, Any], tables: set[str] = LARGE_TABLES) -> list[str]:
    """The nodes that read all of a large table or index."""
    return [
        f"{node['Node Type']} on {node['Relation Name']} using {node.get('Index Name')}"
        for node in nodes_of(plan)
        if node.get("Relation Name") in tables
        and node["Node Type"] not in ("ModifyTable", "Bitmap Heap Scan")
        and "Index Cond" not in node
        and not (node["Node Type"] in ("Index Scan", "Index Only Scan") and node["limited"])
    ]


@pytest.mark.parametrize(("package", "noun", "name"), LIVE, ids=lambda part: part)
async def test_the_projector_finds_users_and_verdicts_by_an_index(
    seeded: ProjectorSettings, package: str, noun: str, name: str
) -> None:
    connection = await connect(seeded)
    try:
        plan = await generic_plan(connection, queries(package, noun)[name])
    finally:
        await connection.close()
    print(json.dumps(plan, indent=1))
    assert whole_scans(plan) == []
