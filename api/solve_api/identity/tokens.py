"""What can a script log in with? Bearer tokens: shown once, kept as a hash, with scopes and an end."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from solve_api.errors import TokenRefused, TokenUnknown
from solve_api.identity.database import Database
from solve_api.identity.sessions import hash_of
from solve_runtime.sql import queries

TOKENS_SQL = queries("solve_api.identity", "tokens")

PREFIX = "sct_"  # so that scanners of repositories can find one that leaked
TOKEN_BYTES = 32
LEAST_DAYS, MOST_DAYS, USUAL_DAYS = 1, 366, 90
LABEL_MAX_CHARS = 100
TOUCH = timedelta(minutes=1)
GREATEST_ID = 2**63 - 1


class Scope(StrEnum):
    """What a token may do; a session may do everything."""

    READ = "read"
    REPAIR = "repair"
    DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is to be."""

    label: str
    scopes: frozenset[Scope]
    days: int = USUAL_DAYS


@dataclass(frozen=True, slots=True)
class Token:
    """One as the table has it, which is without the token itself."""

    token_id: int
    admin: str
    label: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who sent a token that works."""

    token_id: int
    admin_id: int
    name: str
    label: str
    scopes: frozenset[Scope]


async def create_token(database: Database, admin_id: int, wanted: NewToken, now: datetime) -> tuple[str, Token]:
    """The token, which nobody can see again, and its row. Raises TokenRefused."""
    _check(wanted)
    raw = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = await database.fetchrow(
        TOKENS_SQL["create_token"],
        hash_of(raw),
        admin_id,
        wanted.label,
        sorted(wanted.scopes),
        now,
        now + timedelta(days=wanted.days),
    )
    return raw, _token(row)


async def bearer_of(database: Database, raw: str, now: datetime) -> Bearer | None:
    """Whose token it is; None where it expired or was revoked, or where its admin is disabled."""
    if not raw.startswith(PREFIX):
        return None
    row = await database.fetchrow(TOKENS_SQL["bearer"], hash_of(raw), now)
    if row is None:
        return None
    if row["last_used_at"] is None or row["last_used_at"] + TOUCH <= now:
        await database.execute(
            "UPDATE admin_tokens SET last_used_at = greatest(last_used_at, $2) WHERE token_id = $1",
            row["token_id"],
            now,
        )
    return Bearer(row["token_id"], row["admin_id"], row["name"], row["label"], frozenset(_scopes(row["scopes"])))


async def tokens(database: Database, admin_id: int | None = None) -> list[Token]:
    """All of an admin's or everybody's, also those that no longer work; the newest first."""
    return [_token(row) for row in await database.fetch(TOKENS_SQL["tokens"], admin_id)]


async def revoke(database: Database, token_id: int, now: datetime, admin_id: int | None = None) -> Token:
    """Ends a token, if need be only one of this admin's; safe to repeat. Raises TokenUnknown."""
    row = await database.fetchrow(TOKENS_SQL["revoke_token"], token_id, admin_id, now)
    if row is None:
        raise TokenUnknown(f"there is no token {token_id} here; see them with: solve-api admin tokens")
    return _token(row)


def _check(wanted: NewToken) -> None:
    if not wanted.scopes:
        raise TokenRefused(f"a token needs a scope; give one or more of {', '.join(Scope)}")
    if not LEAST_DAYS <= wanted.days <= MOST_DAYS:
        raise TokenRefused(
            f"a token lives for {LEAST_DAYS} to {MOST_DAYS} days, not {wanted.days}; choose such a number"
        )
    if not wanted.label.strip() or len(wanted.label) > LABEL_MAX_CHARS or not wanted.label.isprintable():
        raise TokenRefused(
            f"a token needs a label of 1 to {LABEL_MAX_CHARS} printable characters; say what uses it, such as backup"
        )


def _token(row: Any) -> Token:
    return Token(**{**row, "scopes": _scopes(row["scopes"])})


def _scopes(kept: Collection[str]) -> tuple[Scope, ...]:
    """Those that this version knows: a scope of a later one gives nothing here."""
    return tuple(scope for scope in Scope if scope in kept)
