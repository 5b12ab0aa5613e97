"""Counts what needs an operator: dead letters, parked events, and drift that the last audit found.

Each figure is exact up to COUNTED_MAX. Above, it is what PostgreSQL's planner expects from the table's statistics and
its size today, and never below COUNTED_MAX; `estimated` says which figures those are. So a backlog of any size costs
the same to look at.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

LAG_SQL = queries("solve_projector.lag", "lag")
DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")

COUNTED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class LastReplay:
    """The newest full replay or audit: when it ended (seconds since 1970), and the drift it left."""

    finished_at_s: float
    drift: bool
    users: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Open dead letters by reason, unacknowledged parked events, and rows of the board's outbox."""

    dead_letters: Mapping[str, int]
    parked_users: int
    parked_events: int
    outbox_rows: int
    recount_age_s: float  # of the oldest problem whose solvers are not all counted anew
    last_replay: LastReplay | None
    estimated: frozenset[str]  # fields


async def read_backlog(connection: Connection, topic: str) -> Backlog:
    """Reads the backlog of one topic from PostgreSQL. Raises asyncpg's errors."""
    letters = await connection.fetch(DEAD_LETTERS_SQL["open_dead_letters"], topic, COUNTED_MAX)
    dead_letters: dict[str, int] = {row["reason"]: row["number"] for row in letters}
    (row,) = await connection.fetch(LAG_SQL["backlog"], COUNTED_MAX)
    figures: dict[str, int] = dict(row)
    estimated = {name for name, number in figures.items() if number >= COUNTED_MAX}
    for name in estimated:
        figures[name] = await _estimate(connection, LAG_SQL[f"all_{name}"])
    for reason in [reason for reason, number in dead_letters.items() if number >= COUNTED_MAX]:
        estimated.add("dead_letters")
        dead_letters[reason] = await _estimate(connection, DEAD_LETTERS_SQL["all_open_dead_letters"], reason, topic)
    run = await connection.fetchrow(LAG_SQL["last_replay"], topic)
    return Backlog(
        dead_letters,
        **figures,
        recount_age_s=await connection.fetchval(LAG_SQL["recount_age"]),
        last_replay=LastReplay(*run) if run else None,
        estimated=frozenset(estimated),
    )


async def _estimate(connection: Connection, sql: str, *arguments: Any) -> int:
    """How many rows the planner expects."""
    (explained,) = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments))
    return max(COUNTED_MAX, int(explained["Plan"]["Plan Rows"]))
