"""Accounts of admins: names, passwords, and sessions when an account changes."""

import asyncio

import asyncpg
import pytest

from solve_api.database import open_request_pool
from solve_api.errors import AdminExists, AdminUnknown, NameRefused, PasswordRefused
from solve_api.identity.accounts import (
    account_of,
    admin_id_of,
    admins,
    change_password,
    create_admin,
    disable,
    enable,
    name_of,
)
from solve_api.identity.passwords import is_right
from solve_api.identity.sessions import now, open_session
from solve_api.identity.tokens import NewToken, Scope, create_token
from tests.api.served import PASSWORD, settings_of
from tests.world import World

OTHER = "another battery of staples"


async def test_a_new_admin_is_known_by_the_name_in_lower_case(world: World) -> None:
    async with world.database() as database:
        admin_id = await create_admin(database, "Ada.L@Example-1", PASSWORD)
        account = await account_of(database, "ada.l@example-1")
        assert account
        assert (account.admin_id, account.disabled) == (admin_id, False)
        assert await is_right(PASSWORD, account.password_hash)
        assert await admin_id_of(database, "ADA.L@example-1") == admin_id
        assert await account_of(database, "nobody") is None


async def test_names_that_no_admin_can_have_are_refused_here_and_by_the_table(world: World) -> None:
    odd_names = ["", "-a", ".a", "a b", "a\n", "ä", "a/b", "a'--", "x" * 65, "a:b"]
    for odd in [*odd_names, "a\0", "\ud800"]:  # the last two are no text to PostgreSQL
        with pytest.raises(NameRefused, match="choose another name"):
            name_of(odd)
    async with world.database() as database:
        for odd in [*odd_names, "ADA"]:
            with pytest.raises(asyncpg.CheckViolationError):
                await database.execute("INSERT INTO admins (name, password_hash) VALUES ($1, '')", odd)


async def test_a_name_is_given_once_however_many_ask_at_once(world: World) -> None:
    async with open_request_pool(world.settings, 4) as pool:
        made = await asyncio.gather(
            *(create_admin(pool, name, PASSWORD) for name in ("ada", "ADA", "Ada")), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in made) == ["AdminExists", "AdminExists", "int"]
        with pytest.raises(AdminExists, match="solve-api admin password ada"):
            await create_admin(pool, "ada", OTHER)
        account = await account_of(pool, "ada")
        assert account
        assert await is_right(PASSWORD, account.password_hash), "who came second changed nothing"


async def test_weak_passwords_make_no_admin_and_change_none(world: World) -> None:
    async with world.database() as database:
        with pytest.raises(PasswordRefused):
            await create_admin(database, "ada", "password1234")
        assert await admins(database) == []
        await create_admin(database, "ada", PASSWORD)
        with pytest.raises(PasswordRefused):
            await change_password(database, "ada", "short")
        account = await account_of(database, "ada")
        assert account
        assert await is_right(PASSWORD, account.password_hash)


async def test_nothing_can_be_done_to_nobody(world: World) -> None:
    async with world.database() as database:
        for attempt in (
            change_password(database, "nobody", OTHER),
            disable(database, "nobody"),
            enable(database, "nobody"),
            admin_id_of(database, "nobody"),
        ):
            with pytest.raises(AdminUnknown, match="solve-api admin list"):
                await attempt


async def test_the_list_shows_who_is_there_and_counts_what_is_open_but_no_hash(world: World) -> None:
    settings = settings_of(world)
    async with world.database() as database:
        for name in ("bob", "ada"):
            await create_admin(database, name, PASSWORD)
        ada = await account_of(database, "ada")
        assert ada
        for _ in range(2):
            assert await open_session(database, settings, ada, "a browser", now())
        await create_token(database, ada.admin_id, NewToken("nightly", frozenset({Scope.READ})), now())
        await disable(database, "bob")
        found = await admins(database)
        assert [(one.name, one.sessions, one.tokens, one.disabled_at is None) for one in found] == [
            ("ada", 2, 1, True),
            ("bob", 0, 0, False),
        ]
        assert "argon2" not in str(found)


async def test_who_is_disabled_twice_left_the_first_time_and_can_come_back(world: World) -> None:
    async with world.database() as database:
        await create_admin(database, "ada", PASSWORD)
        await disable(database, "ada")
        first = (await admins(database))[0].disabled_at
        await disable(database, "Ada")
        assert (await admins(database))[0].disabled_at == first
        await enable(database, "ada")
        account = await account_of(database, "ada")
        assert account
        assert not account.disabled
        assert await is_right(PASSWORD, account.password_hash)
