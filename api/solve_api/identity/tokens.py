"""Bearer tokens for scripts: shown once, stored as a hash, limited by scopes and an expiry."""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from solve_api.bodies import EXAMPLE_TIME, Body
from solve_api.database import Database
from solve_api.errors import TokenRefused, TokenUnknown
from solve_api.identity.sessions import hash_of
from solve_runtime.sql import queries

TOKENS_SQL = queries("solve_api.identity", "tokens")

PREFIX = "sct_"  # lets repository scanners find a leaked token
TOKEN_BYTES = 32
TOKEN_CHARS = len(secrets.token_urlsafe(TOKEN_BYTES))
TOKEN = re.compile(rf"{PREFIX}|(?<![\w-])[A-Za-z0-9_-]{{{TOKEN_CHARS}}}(?![\w-])")  # also without its prefix
DAYS_MIN, DAYS_MAX, DAYS_DEFAULT = 1, 366, 90
LABEL_MAX_CHARS = 100
TOUCH = timedelta(minutes=1)


class Scope(StrEnum):
    """What a token may do; a session may do everything."""

    READ = "read"
    REPAIR = "repair"
    DEAD_LETTERS = "dead-letters"
    FACTS = "facts"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to create."""

    label: str
    scopes: frozenset[Scope]
    days: int = DAYS_DEFAULT


class TokenState(Body):
    """A token, without its secret."""

    token_id: int = Field(examples=[3])
    admin: str = Field(examples=["ada"])
    label: str = Field(examples=["nightly"])
    scopes: tuple[Scope, ...]
    created_at: datetime = Field(examples=[EXAMPLE_TIME])
    expires_at: datetime = Field(examples=["2027-02-22T09:09:50Z"])
    last_used_at: datetime | None = Field(examples=["2026-11-25T03:00:01Z"])
    revoked_at: datetime | None = Field(examples=[None])


@dataclass(frozen=True, slots=True)
class Bearer:
    """The owner of a valid token."""

    token_id: int
    admin_id: int
    name: str
    label: str
    scopes: frozenset[Scope]


async def create_token(database: Database, admin_id: int, wanted: NewToken, now: datetime) -> tuple[str, TokenState]:
    """Returns the secret, which cannot be shown again, and the stored token. Raises TokenRefused."""
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
    """The owner of a token, or None if it expired or was revoked, or if its admin is disabled."""
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


async def valid_tokens(database: Database, token_ids: Collection[int], now: datetime) -> set[int]:
    """Those of the tokens that work now."""
    if not token_ids:
        return set()
    return {row[0] for row in await database.fetch(TOKENS_SQL["valid_tokens"], list(token_ids), now)}


async def tokens(database: Database, admin_id: int | None = None) -> list[TokenState]:
    """Tokens of one admin or of all, valid or not, newest first."""
    return [_token(row) for row in await database.fetch(TOKENS_SQL["tokens"], admin_id)]


async def revoke(database: Database, token_id: int, now: datetime, admin_id: int | None = None) -> TokenState:
    """Revokes a token, optionally only one of this admin's; safe to repeat. Raises TokenUnknown."""
    row = await database.fetchrow(TOKENS_SQL["revoke_token"], token_id, admin_id, now)
    if row is None:
        raise TokenUnknown(f"there is no token {token_id}; to list the tokens, run: solve-api admin tokens")
    return _token(row)


def _check(wanted: NewToken) -> None:
    if not wanted.scopes:
        raise TokenRefused(f"a token needs at least one scope; choose from {', '.join(Scope)}")
    if not DAYS_MIN <= wanted.days <= DAYS_MAX:
        raise TokenRefused(
            f"a token is valid for {DAYS_MIN} to {DAYS_MAX} days, not {wanted.days}; choose another number"
        )
    if not wanted.label.strip() or len(wanted.label) > LABEL_MAX_CHARS or not wanted.label.isprintable():
        raise TokenRefused(
            f"a token needs a label of 1 to {LABEL_MAX_CHARS} printable characters; name what uses it, such as backup"
        )
    if TOKEN.search(wanted.label):
        raise TokenRefused("a label must not be a token; name what uses the token, such as backup")


def _token(row: Any) -> TokenState:
    return TokenState(**{**row, "scopes": _scopes(row["scopes"])})


def _scopes(kept: Collection[str]) -> tuple[Scope, ...]:
    """The scopes that this version knows; a scope of a later version allows nothing here."""
    return tuple(scope for scope in Scope if scope in kept)
