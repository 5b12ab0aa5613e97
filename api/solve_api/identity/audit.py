"""Who did what, when, and what came of it? Rows that are only ever added; no secret is in them."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

from solve_api.identity.database import Database
from solve_runtime.sql import queries

AUDIT_SQL = queries("solve_api.identity", "audit")

TEXT_MAX_CHARS = 200
MOST = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be. `via` is how who did it was known: "session", "token:label" or "cli"."""

    who: str
    via: str
    action: str
    detail: dict[str, Any] = field(default_factory=dict)
    result: str = "done"
    request_id: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row."""

    audit_id: int
    at: datetime
    who: str
    via: str
    action: str
    detail: dict[str, Any]
    result: str
    request_id: str
    client: str


async def record(database: Database, entry: Entry) -> None:
    """Adds a row; inside a transaction of the caller's, it is there if what it tells of is. Raises asyncpg's errors."""
    texts = (entry.who, entry.via, entry.action, entry.result, entry.request_id, entry.client)
    who, via, action, result, request_id, client = (_plain(text)[:TEXT_MAX_CHARS] for text in texts)
    detail = json.dumps(_plain(entry.detail))
    await database.execute(AUDIT_SQL["record_audit"], who, via, action, detail, result, request_id, client)


async def latest(database: Database, limit: int, before_id: int | None = None) -> list[Recorded]:
    """The newest first; `before_id` is the last one of the page before."""
    rows = await database.fetch(AUDIT_SQL["latest_audit"], min(limit, MOST), before_id)
    return [Recorded(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


def _plain(value: Any) -> Any:
    """What PostgreSQL can keep: no NUL and no half of a surrogate pair, which strangers may send, and no NaN."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_plain(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    return _plain(str(value))
