"""Tokens of scripts: scopes, expiry and revocation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from solve_api.database import open_request_pool
from solve_api.errors import TokenRefused, TokenUnknown
from solve_api.identity.accounts import change_password, create_admin, disable, enable
from solve_api.identity.tokens import (
    LABEL_MAX_CHARS,
    PREFIX,
    Bearer,
    NewToken,
    Scope,
    bearer_of,
    create_token,
    revoke,
    tokens,
)
from tests.api.served import PASSWORD
from tests.world import World

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NIGHTLY = NewToken("nightly", frozenset({Scope.READ, Scope.REPAIR}), days=30)


@asynccontextmanager
async def ada_of(world: World) -> AsyncIterator[tuple[asyncpg.Pool, int]]:
    """A pool and the id of an admin, ada."""
    async with open_request_pool(world.settings, 4) as pool:
        yield pool, await create_admin(pool, "ada", PASSWORD)


async def test_a_token_is_shown_once_and_the_table_has_only_its_hash(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, made = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        other, _ = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        assert raw != other
        assert raw.startswith(PREFIX)
        assert len(raw.removeprefix(PREFIX)) == 43  # 256 bits
        assert (made.admin, made.label, made.scopes) == ("ada", "nightly", (Scope.READ, Scope.REPAIR))
        assert made.expires_at == BEGIN + timedelta(days=30)
        row = await pool.fetchrow("SELECT * FROM admin_tokens WHERE token_id = $1", made.token_id)
        secret = raw.removeprefix(PREFIX)
        assert secret not in str(dict(row))
        assert secret not in str(await tokens(pool))
        assert await bearer_of(pool, PREFIX + row["token_hash"].hex(), BEGIN) is None


async def test_a_token_says_who_and_what_for(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, made = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        assert await bearer_of(pool, raw, BEGIN) == Bearer(made.token_id, ada_id, "ada", "nightly", NIGHTLY.scopes)
        for wrong in (raw[:-1], raw.removeprefix(PREFIX), raw.upper(), "", PREFIX, "\0", PREFIX + "\ud800"):
            assert await bearer_of(pool, wrong, BEGIN) is None


async def test_a_token_ends_when_it_was_made_to(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, made = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        assert await bearer_of(pool, raw, made.expires_at - timedelta(seconds=1))
        assert await bearer_of(pool, raw, made.expires_at) is None


async def test_a_revoked_token_opens_nothing_and_stays_in_the_list(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, made = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        kept, _ = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        first = await revoke(pool, made.token_id, BEGIN)
        again = await revoke(pool, made.token_id, BEGIN + timedelta(days=1))
        assert first == again
        assert first.revoked_at == BEGIN
        assert await bearer_of(pool, raw, BEGIN) is None
        assert await bearer_of(pool, kept, BEGIN)
        assert [one.revoked_at for one in await tokens(pool, ada_id)] == [None, BEGIN]
        with pytest.raises(TokenUnknown, match="solve-api admin tokens"):
            await revoke(pool, made.token_id + 99, BEGIN)


async def test_nobody_revokes_or_lists_the_tokens_of_somebody_else(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        bob_id = await create_admin(pool, "bob", PASSWORD)
        raw, made = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        with pytest.raises(TokenUnknown):
            await revoke(pool, made.token_id, BEGIN, bob_id)
        assert await bearer_of(pool, raw, BEGIN)
        assert await tokens(pool, bob_id) == []
        assert [one.token_id for one in await tokens(pool)] == [made.token_id]


async def test_tokens_of_who_is_disabled_open_nothing_until_they_are_back(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, _ = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        await change_password(pool, "ada", "another battery of staples")
        assert await bearer_of(pool, raw, BEGIN), "scripts go on when a person takes another password"
        await disable(pool, "ada")
        assert await bearer_of(pool, raw, BEGIN) is None
        await enable(pool, "ada")
        assert await bearer_of(pool, raw, BEGIN)


async def test_a_scope_of_a_later_version_gives_nothing(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, _ = await create_token(pool, ada_id, NewToken("later", frozenset({Scope.READ})), BEGIN)
        await pool.execute("UPDATE admin_tokens SET scopes = '{everything, read}'")
        bearer = await bearer_of(pool, raw, BEGIN)
        assert bearer
        assert bearer.scopes == {Scope.READ}


async def test_the_last_use_is_written_at_most_once_a_minute(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        raw, _ = await create_token(pool, ada_id, NIGHTLY, BEGIN)
        assert (await tokens(pool))[0].last_used_at is None
        for after_s, last_used_s in ((5, 5), (64, 5), (65, 65), (10, 65)):
            assert await bearer_of(pool, raw, BEGIN + timedelta(seconds=after_s))
            assert (await tokens(pool))[0].last_used_at == BEGIN + timedelta(seconds=last_used_s)


async def test_tokens_that_cannot_be_made_are_refused_in_words(world: World) -> None:
    async with ada_of(world) as (pool, ada_id):
        read = frozenset({Scope.READ})
        for wanted, said in (
            (NewToken("a", frozenset()), "needs at least one scope"),
            (NewToken("a", read, days=0), "1 to 366 days, not 0"),
            (NewToken("a", read, days=367), "not 367"),
            (NewToken(" ", read), "needs a label"),
            (NewToken("x" * (LABEL_MAX_CHARS + 1), read), "needs a label"),
            (NewToken("a\0b", read), "printable"),
            (NewToken("a\x1b[2J", read), "printable"),
            (NewToken("\ud800", read), "printable"),
        ):
            with pytest.raises(TokenRefused, match=said):
                await create_token(pool, ada_id, wanted, BEGIN)
        assert await tokens(pool) == []
