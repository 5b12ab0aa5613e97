"""The audit trail: who did what, when, with which result. Rows are only added, and hold no secret."""

import json
from datetime import datetime
from math import isfinite
from typing import Any

from pydantic import Field

from solve_api.bodies import EXAMPLE_TIME, Body
from solve_api.database import Database
from solve_api.identity.actors import Actor
from solve_runtime.sql import queries

AUDIT_SQL = queries("solve_api.identity", "audit")

TEXT_MAX_CHARS = 200
ROWS_MAX = 500


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


async def record(
    database: Database, actor: Actor, action: str, detail: dict[str, Any] | None = None, result: str = "done"
) -> None:
    """Adds a row. Within a transaction of the caller's, it exists exactly if what it records does."""
    texts = (actor.name, actor.via, action, result, actor.request_id, actor.client)
    who, via, action, result, request_id, client = (_storable(text)[:TEXT_MAX_CHARS] for text in texts)
    stored = json.dumps(_storable(detail or {}))
    await database.execute(AUDIT_SQL["record_audit"], who, via, action, stored, result, request_id, client)


async def latest(database: Database, limit: int, before_id: int | None = None) -> list[Activity]:
    """Rows, newest first; `before_id` is the last row of the previous page."""
    rows = await database.fetch(AUDIT_SQL["latest_audit"], min(limit, ROWS_MAX), before_id)
    return [Activity(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


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
