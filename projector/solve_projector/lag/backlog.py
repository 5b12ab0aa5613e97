"""Counts what needs an operator: dead letters, parked events, and drift that the last audit found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

LAG_SQL = queries("solve_projector.lag", "lag")


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
    last_replay: LastReplay | None


async def read_backlog(connection: Connection, topic: str) -> Backlog:
    """Reads the backlog of one topic from PostgreSQL. Raises asyncpg's errors."""
    (row,) = await connection.fetch(LAG_SQL["backlog"], topic)
    run = await connection.fetchrow(LAG_SQL["last_replay"], topic)
    figures = {**row, "dead_letters": json.loads(row["dead_letters"])}
    return Backlog(**figures, last_replay=LastReplay(*run) if run else None)
