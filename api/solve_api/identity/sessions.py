"""Sessions of browsers: random ids in a cookie. The table stores only hashes, so reading it opens no session."""

import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from solve_api.bodies import EXAMPLE_TIME, Body
from solve_api.database import Database
from solve_api.identity.accounts import Account
from solve_api.settings import ApiSettings
from solve_runtime.sql import queries

SESSIONS_SQL = queries("solve_api.identity", "sessions")

ID_BYTES = 32
CSRF_BYTES = sha256().digest_size
TOUCH_S = 60
CLIENT_MAX_CHARS = 200
SessionId = Annotated[str, Field(pattern="^[0-9a-f]{16}$", examples=["5f1d7a84db0c2e99"])]


@dataclass(frozen=True, slots=True)
class Session:
    """An open session, and when it ends at the latest."""

    admin_id: int
    name: str
    expires_at: datetime


class OwnSession(Body):
    """A logged-in browser."""

    session_id: SessionId = Field(description="Names the session, and does not open it.")
    client: str = Field(examples=["Mozilla/5.0 (X11; Linux x86_64)"], description="The browser's User-Agent.")
    created_at: datetime = Field(examples=[EXAMPLE_TIME])
    last_seen_at: datetime = Field(examples=["2026-11-24T11:30:00Z"], description="Accurate to about a minute.")
    expires_at: datetime = Field(examples=["2026-11-24T21:09:50Z"], description="At the latest; sooner if unused.")
    current: bool = Field(description="Whether this request belongs to it.")


async def open_session(
    database: Database, settings: ApiSettings, account: Account, client: str, now: datetime
) -> str | None:
    """Opens a session under a new id, never one that the browser sent, and deletes expired sessions.

    Returns None if the admin was disabled or given another password since theirs was checked.
    """
    raw = secrets.token_urlsafe(ID_BYTES)
    longest, idle = _limits(settings)
    await database.execute(SESSIONS_SQL["delete_expired_sessions"], now, now - longest, now - idle)
    opened = await database.fetchval(
        SESSIONS_SQL["open_session"],
        hash_of(raw),
        account.admin_id,
        account.password_changed_at,
        now,
        now + longest,
        client[:CLIENT_MAX_CHARS],
    )
    return None if opened is None else raw


async def session_of(
    database: Database, settings: ApiSettings, raw: str, now: datetime, *, used: bool = True
) -> Session | None:
    """The session with this id, or None if it expired or ended, or if its admin is disabled.

    `used` is false for requests that nobody made: a page that refreshes itself must not keep a session alive.
    """
    longest, idle = _limits(settings)
    row = await database.fetchrow(SESSIONS_SQL["session"], hash_of(raw), now, longest, idle)
    if row is None:
        return None
    # at most once a minute, so that reads seldom write, but early enough for short sessions
    if used and row["last_seen_at"] + min(timedelta(seconds=TOUCH_S), idle / 2) <= now:
        await database.execute(
            "UPDATE admin_sessions SET last_seen_at = greatest(last_seen_at, $2) WHERE session_hash = $1",
            hash_of(raw),
            now,
        )
    return Session(row["admin_id"], row["name"], row["expires_at"])


async def valid_sessions(database: Database, settings: ApiSettings, raws: Collection[str], now: datetime) -> set[str]:
    """Those of the ids that open a session now."""
    if not raws:
        return set()
    hashes = {hash_of(raw): raw for raw in raws}
    rows = await database.fetch(SESSIONS_SQL["valid_sessions"], list(hashes), now, *_limits(settings))
    return {hashes[row[0]] for row in rows}


async def end_session(database: Database, raw: str) -> None:
    """Ends the session with this id; safe to repeat."""
    await database.execute("DELETE FROM admin_sessions WHERE session_hash = $1", hash_of(raw))


async def sessions_of(
    database: Database, settings: ApiSettings, admin_id: int, raw: str, now: datetime
) -> list[OwnSession]:
    """The open sessions of an admin, most recently used first; `raw` is the id of the current one."""
    current = sha256(hash_of(raw)).digest()[:8].hex()  # as SQL derives it too
    rows = await database.fetch(SESSIONS_SQL["own_sessions"], admin_id, now, *_limits(settings))
    return [OwnSession(**row, current=row["session_id"] == current) for row in rows]


async def end_sessions_of(database: Database, admin_id: int, session_ids: Collection[str]) -> int:
    """Ends the named sessions of this admin; returns how many. Safe to repeat."""
    return len(await database.fetch(SESSIONS_SQL["end_sessions"], admin_id, list(session_ids)))


async def end_all_sessions(database: Database, admin_id: int) -> int:
    """Ends every session of an admin; returns how many."""
    return len(await database.fetch(SESSIONS_SQL["end_sessions"], admin_id, None))


def csrf_token(raw: str) -> str:
    """A CSRF token of a session, derived from its id so that nothing is stored.

    Each is another: it is a random pad and the secret under that pad. A proxy may compress answers, and what is
    constant in them could be guessed by their length.
    """
    pad = secrets.token_bytes(CSRF_BYTES)
    return (pad + _under(pad, _csrf_secret(raw))).hex()


def is_csrf_token(raw: str, sent: str) -> bool:
    """Whether the token belongs to this session, in constant time."""
    try:
        token = bytes.fromhex(sent)
    except ValueError:
        return False
    pad, padded = token[:CSRF_BYTES], token[CSRF_BYTES:]
    return len(padded) == CSRF_BYTES and hmac.compare_digest(_under(pad, padded), _csrf_secret(raw))


def _csrf_secret(raw: str) -> bytes:
    return hmac.new(raw.encode(), b"csrf", sha256).digest()


def _under(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))


def hash_of(raw: str) -> bytes:
    """The hash that is stored. No salt and one round: the secret is 256 random bits, not a password."""
    return sha256(raw.encode("utf-8", "replace")).digest()


def now() -> datetime:
    """This process's clock."""
    return datetime.now(UTC)


def _limits(settings: ApiSettings) -> tuple[timedelta, timedelta]:
    return timedelta(seconds=settings.api_session_max_s), timedelta(seconds=settings.api_session_idle_s)
