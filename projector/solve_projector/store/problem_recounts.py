"""The queue of problems whose solvers must be counted anew.

A fact touches users of every partition, and a batch that read the one before may commit after it. So the fact's
transaction only asks for a recount; it begins once all transactions that may have read the fact before have ended, and
goes through the solves of all users in their order, in steps. A crash leaves whole steps.
"""

from collections.abc import Mapping
from typing import NamedTuple

import asyncpg

from solve_projector.store.counts import add_to_outbox, recount_users
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

PROBLEM_RECOUNTS_SQL = queries("solve_projector.store", "problem_recounts")
USERS_SQL = queries("solve_projector.store", "users")

PROBLEMS_AT_ONCE = 1_000
SOLVES_LOOKED_AT = 20_000
SOLVES_COUNTED = 250  # each may be of a user with thousands


class QueuedProblems(NamedTuple):
    """Problems whose recounts stand at the same solve, by id, with their tickets: another fact takes another one."""

    tickets: Mapping[str, int]
    horizon: int  # transactions below it may have read the facts before these
    oldest: float  # when the first was asked for, in seconds since 1970


async def is_anything_queued(pool: asyncpg.Pool) -> bool:
    """Whether somebody has to be counted anew."""
    return bool(await pool.fetchval("SELECT EXISTS (SELECT FROM problem_recounts)"))


async def next_recounts(pool: asyncpg.Pool) -> QueuedProblems | None:
    """The problems to recount together next, as one snapshot sees them; None where there are none."""
    rows = await pool.fetch(PROBLEM_RECOUNTS_SQL["next_recounts"], PROBLEMS_AT_ONCE)
    if not rows:
        return None
    tickets = {row["problem_id"]: row["ticket"] for row in rows}
    return QueuedProblems(tickets, int(rows[0]["horizon"]), min(row["asked_at"] for row in rows).timestamp())


async def oldest_transaction(pool: asyncpg.Pool) -> tuple[int, str | None]:
    """The oldest transaction's id, or the next one's where none runs; and whose it is, in words."""
    ((running, oldest),) = await pool.fetch(PROBLEM_RECOUNTS_SQL["oldest_transaction"])
    return int(running), oldest


async def recount_step(connection: Connection, tickets: Mapping[str, int]) -> int:
    """Counts the next solvers of queued problems anew, in one transaction; returns how many users.

    Of a problem whose ticket is another one by now it counts nobody: its recount begins again.
    """
    async with connection.transaction():
        rows = await connection.fetch(PROBLEM_RECOUNTS_SQL["lock_recounts"], sorted(tickets))
        current = [row for row in rows if tickets[row["problem_id"]] == row["ticket"]]
        if not current:
            return 0
        after = tuple(current[0])[2:]
        problem_ids = [row["problem_id"] for row in current if tuple(row)[2:] == after]
        ((user_ids, goes_on, reached),) = await connection.fetch(
            PROBLEM_RECOUNTS_SQL["next_solvers"], *after, problem_ids, SOLVES_LOOKED_AT, SOLVES_COUNTED
        )
        if user_ids:
            await connection.fetch(USERS_SQL["lock_users"], user_ids)
            await add_to_outbox(connection, await recount_users(connection, user_ids))
        if goes_on:
            await connection.execute(PROBLEM_RECOUNTS_SQL["move_recounts"], problem_ids, *reached)
        else:
            await connection.execute(PROBLEM_RECOUNTS_SQL["end_recounts"], problem_ids)
    return len(user_ids)
