"""The audit trail: who did what, when, with which result. Rows are only added, and hold no secret.

Nothing is done that is not recorded. What fits into one transaction commits with its row. What does not (a repair, a
retry) commits a row that says "started" first, and a second one with its end; killed in between, the first stays open.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from math import isfinite
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog
from pydantic import Field

from solve_api.bodies import EXAMPLE_TIME, Body
from solve_api.database import Database, transaction
from solve_api.errors import AuditRefused, NotPublished
from solve_api.identity.actors import Actor
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, said_of
from solve_runtime.errors import SolveCountsError
from solve_runtime.sql import queries

AUDIT_SQL = queries("solve_api.identity", "audit")

TEXT_MAX_CHARS = 200
ROWS_MAX = 500
ROWS_SEARCHED = 10_000
STARTED, DONE, REFUSED, FAILED = "started", "done", "refused", "failed"
NO_END = "started, no end recorded"

log = structlog.get_logger()


class Activity(Body):
    """What one admin, script or operator did."""

    audit_id: int = Field(examples=[47])
    at: datetime = Field(examples=[EXAMPLE_TIME])
    who: str = Field(examples=["ada"])
    via: str = Field(examples=["session"])
    action: str = Field(examples=["backfill"])
    detail: dict[str, Any] = Field(examples=[{"dry_run": False, "users_updated": 15}])
    result: str = Field(examples=["done"])
    request_id: str = Field(examples=["8d2c5b1e9f7a4c3db0"])
    client: str = Field(examples=["192.0.2.7"])
    open: bool = Field(
        examples=[False],
        description="Whether it started and no end is recorded: it still runs, or its process was killed.",
    )

    @property
    def outcome(self) -> str:
        """The result for people, which tells an open row from one whose end is another row."""
        return NO_END if self.open else self.result


async def record(
    database: Database,
    actor: Actor,
    action: str,
    detail: dict[str, Any] | None = None,
    result: str = DONE,
    deed: UUID | None = None,
) -> None:
    """Adds a row. Within a transaction of the caller's, it exists exactly if what it records does.

    `deed` is named by the row of a start and by that of its end. Raises AuditRefused, and asyncpg's errors while
    PostgreSQL is unavailable: the caller then does nothing.
    """
    texts = (actor.name, actor.via, action, result, actor.request_id, actor.client)
    who, via, action, result, request_id, client = (_storable(text)[:TEXT_MAX_CHARS] for text in texts)
    stored = json.dumps(_storable(detail or {}))
    row = (who, via, action, stored, result, request_id, client, deed)
    try:
        async with transaction(database) as connection:
            audit_id = await connection.fetchval(AUDIT_SQL["record_audit"], *row)
            await connection.execute(AUDIT_SQL["fire_deferred"])
            if not await connection.fetchval(AUDIT_SQL["has_audit"], audit_id, *row):
                raise _refused("a rule or a trigger keeps rows out of the activity, or changes them")
    except asyncpg.PostgresError as error:
        if classify(error) is Failure.TRANSIENT:
            raise
        raise _refused(said_of(error)) from error


def _refused(why: str) -> AuditRefused:
    log.warning("PostgreSQL refused a row of the activity", action="activity_refused", error=why)
    return AuditRefused(
        "this cannot be recorded in the activity, so it is not done; the operator finds the reason in the log of this "
        "program"
    )


@asynccontextmanager
async def recorded_deed(
    database: Database, actor: Actor, action: str, detail: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Commits a row before the block and one after it, with what the block puts into the dictionary.

    Raises as `record` does, before the block. A block that is cancelled or killed leaves the first row open.
    """
    deed, found = uuid4(), dict[str, Any]()
    await record(database, actor, action, detail, STARTED, deed)
    try:
        yield found
    except Exception as error:
        ours = isinstance(error, SolveCountsError)
        found["error"] = str(error) if ours else type(error).__name__  # others may quote what they were given
        result = REFUSED if ours and not isinstance(error, NotPublished) else FAILED
        await record_end(database, actor, action, {**detail, **found}, result, deed)
        raise
    await record_end(database, actor, action, {**detail, **found}, DONE, deed)


async def record_end(
    database: Database, actor: Actor, action: str, detail: dict[str, Any], result: str, deed: UUID
) -> None:
    """Adds the row of an end. What is done cannot be undone: without this row the first one stays open."""
    try:
        await record(database, actor, action, detail, result, deed)
    except (AuditRefused, *DATABASE_ERRORS) as error:
        log.warning("an end is not in the activity", action="activity_end_missing", deed=str(deed), error=str(error))


async def latest(database: Database, limit: int, before_id: int | None = None) -> list[Activity]:
    """Rows, newest first; `before_id` is the last row of the previous page."""
    rows = await database.fetch(AUDIT_SQL["latest_audit"], min(limit, ROWS_MAX), before_id)
    return [Activity(**{**row, "detail": _members(json.loads(row["detail"]))}) for row in rows]


async def latest_time(database: Database, actions: Sequence[str], about: Mapping[str, str]) -> datetime | None:
    """The latest time (`at`) that the newest rows of these actions say about something; None if none does."""
    asked = json.dumps(_storable(dict(about)))
    time: datetime | None = await database.fetchval(AUDIT_SQL["latest_time"], actions, asked, ROWS_SEARCHED)
    return time


def _members(detail: Any) -> dict[str, Any]:
    """The detail as our rows have it; whatever else somebody added hides no row."""
    return detail if isinstance(detail, dict) else {"detail": detail}


def _storable(value: Any) -> Any:
    """Replaces what PostgreSQL cannot store and any client may send: NUL, lone surrogates, NaN."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(str(name)): _storable(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(one) for one in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    return _storable(str(value))
