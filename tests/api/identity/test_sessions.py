"""Sessions: of one browser, limited in time, and never outliving the password that opened them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from solve_api.database import open_request_pool
from solve_api.identity import sessions
from solve_api.identity.accounts import Account, account_of, change_password, create_admin, disable, enable
from solve_api.settings import ApiSettings
from tests.api.served import PASSWORD, settings_of
from tests.waiting import until
from tests.world import World

OTHER = "another battery of staples"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
IDLE_S, MAX_S = 600, 3_600


@dataclass
class Browsers:
    """An admin, ada, and the sessions of her browsers."""

    pool: asyncpg.Pool
    settings: ApiSettings
    ada: Account

    async def open(self, at: datetime = BEGIN) -> str:
        raw = await sessions.open_session(self.pool, self.settings, self.ada, "a browser", at)
        assert raw
        return raw

    async def is_open(self, raw: str, after_s: float = 0) -> bool:
        at = BEGIN + timedelta(seconds=after_s)
        return await sessions.session_of(self.pool, self.settings, raw, at) is not None

    async def rows(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM admin_sessions"))


@asynccontextmanager
async def browsers_of(world: World) -> AsyncIterator[Browsers]:
    settings = settings_of(world, api_session_idle_s=IDLE_S, api_session_max_s=MAX_S)
    async with open_request_pool(world.settings, 8) as pool:
        await create_admin(pool, "ada", PASSWORD)
        ada = await account_of(pool, "ada")
        assert ada
        yield Browsers(pool, settings, ada)


async def test_ids_are_random_and_the_table_has_only_their_hash(world: World) -> None:
    async with browsers_of(world) as browsers:
        opened = [await browsers.open() for _ in range(20)]
        assert len(set(opened)) == 20
        assert {len(raw) for raw in opened} == {43}  # 256 bits
        row = dict(await browsers.pool.fetchrow("SELECT * FROM admin_sessions LIMIT 1"))
        assert {len(found) for found in await hashes(browsers)} == {32}
        for raw in opened:
            assert raw not in str(row)
            # who reads the table has nothing to send
            assert not await browsers.is_open(sessions.hash_of(raw).hex())
        session = await sessions.session_of(browsers.pool, browsers.settings, opened[0], BEGIN)
        assert session == sessions.Session(browsers.ada.admin_id, "ada", BEGIN + timedelta(seconds=MAX_S))


async def hashes(browsers: Browsers) -> list[bytes]:
    return [row["session_hash"] for row in await browsers.pool.fetch("SELECT session_hash FROM admin_sessions")]


async def test_what_no_cookie_of_ours_says_is_nobody(world: World) -> None:
    async with browsers_of(world) as browsers:
        await browsers.open()
        for odd in ("", "x", "\0", "\ud800", "ü" * 5000, "' OR true --"):
            assert not await browsers.is_open(odd)
            await sessions.end_session(browsers.pool, odd)
        assert await browsers.rows() == 1


async def test_a_session_that_is_not_used_ends(world: World) -> None:
    async with browsers_of(world) as browsers:
        raw = await browsers.open()
        assert await browsers.is_open(raw, IDLE_S - 1)
        # used a second before: counted from then on
        assert await browsers.is_open(raw, 2 * IDLE_S - 2)
        assert not await browsers.is_open(raw, 3 * IDLE_S - 2)


async def test_a_page_that_asks_by_itself_keeps_no_session_alive(world: World) -> None:
    async with browsers_of(world) as browsers:
        raw = await browsers.open()
        for after_s in range(0, IDLE_S, 60):
            at = BEGIN + timedelta(seconds=after_s)
            assert await sessions.session_of(browsers.pool, browsers.settings, raw, at, used=False)
        assert not await browsers.is_open(raw, IDLE_S)


async def test_a_session_ends_however_much_it_is_used(world: World) -> None:
    async with browsers_of(world) as browsers:
        raw = await browsers.open()
        step = IDLE_S // 2
        assert all([await browsers.is_open(raw, at) for at in range(0, MAX_S, step)])
        assert await browsers.is_open(raw, MAX_S - 1)
        assert not await browsers.is_open(raw, MAX_S)


async def test_shorter_limits_are_those_of_older_sessions_too(world: World) -> None:
    async with browsers_of(world) as browsers:
        raw = await browsers.open()
        browsers.settings = browsers.settings.model_copy(update={"api_session_max_s": 60, "api_session_idle_s": 60})
        assert await browsers.is_open(raw, 59)
        assert not await browsers.is_open(raw, 60)


async def test_reading_writes_at_most_once_a_minute_and_never_backwards(world: World) -> None:
    async with browsers_of(world) as browsers:
        raw = await browsers.open()

        async def seen_s() -> float:
            at = await browsers.pool.fetchval("SELECT last_seen_at FROM admin_sessions")
            return float((at - BEGIN).total_seconds())

        for at, last_seen in ((1, 0), (59, 0), (60, 60), (61, 60), (30, 60), (120, 120)):
            assert await browsers.is_open(raw, at)
            assert await seen_s() == last_seen, at


async def test_ended_sessions_leave_no_rows(world: World) -> None:
    async with browsers_of(world) as browsers:
        await browsers.open()
        await browsers.open(BEGIN + timedelta(seconds=IDLE_S - 1))
        await browsers.open(BEGIN + timedelta(seconds=IDLE_S))
        assert await browsers.rows() == 2


async def test_log_out_ends_one_and_log_out_everywhere_all_of_this_admin_alone(world: World) -> None:
    async with browsers_of(world) as browsers:
        bob_id = await create_admin(browsers.pool, "bob", PASSWORD)
        bob = await account_of(browsers.pool, "bob")
        first, second, third = [await browsers.open() for _ in range(3)]
        assert bob
        bobs = await sessions.open_session(browsers.pool, browsers.settings, bob, "", BEGIN)
        assert bobs
        await sessions.end_session(browsers.pool, first)
        await sessions.end_session(browsers.pool, first)
        assert [await browsers.is_open(raw) for raw in (first, second, third)] == [False, True, True]
        assert await sessions.end_all_sessions(browsers.pool, browsers.ada.admin_id) == 2
        assert [await browsers.is_open(raw) for raw in (second, third, bobs)] == [False, False, True]
        assert await sessions.end_all_sessions(browsers.pool, bob_id) == 1


async def test_another_password_ends_all_sessions_and_the_old_one_opens_none(world: World) -> None:
    async with browsers_of(world) as browsers:
        opened = [await browsers.open() for _ in range(2)]
        assert await change_password(browsers.pool, "ada", OTHER) == 2
        assert not any([await browsers.is_open(raw) for raw in opened])
        # the account as it was when the old password was found right
        assert await sessions.open_session(browsers.pool, browsers.settings, browsers.ada, "", BEGIN) is None


async def test_who_is_disabled_is_out_at_once_and_their_sessions_do_not_come_back(world: World) -> None:
    async with browsers_of(world) as browsers:
        raw = await browsers.open()
        assert await disable(browsers.pool, "ada") == 1
        assert not await browsers.is_open(raw)
        assert await sessions.open_session(browsers.pool, browsers.settings, browsers.ada, "", BEGIN) is None
        await enable(browsers.pool, "ada")
        assert not await browsers.is_open(raw)
        await browsers.open()


async def test_a_row_that_is_left_of_a_disabled_admin_opens_nothing(world: World) -> None:
    """As where somebody disabled them by hand."""
    async with browsers_of(world) as browsers:
        raw = await browsers.open()
        await browsers.pool.execute("UPDATE admins SET disabled_at = now()")
        assert not await browsers.is_open(raw)


@pytest.mark.parametrize("who_is_first", ["login", "password"])
async def test_a_log_in_beside_a_change_of_the_password_leaves_no_session(world: World, who_is_first: str) -> None:
    """Whoever has the admin's row first: the other waits for it, and then sees it."""
    async with browsers_of(world) as browsers, world.database() as holder:
        changing = "UPDATE admins SET password_changed_at = now()"
        holding = "SELECT FROM admins FOR SHARE" if who_is_first == "login" else changing
        held = holder.transaction()
        await held.start()
        await holder.execute(holding)
        if who_is_first == "login":
            await holder.execute(
                "INSERT INTO admin_sessions (session_hash, admin_id, expires_at) SELECT '\\x01', admin_id, now() "
                "FROM admins"
            )
            waiting = asyncio.create_task(change_password(browsers.pool, "ada", OTHER))
        else:
            waiting = asyncio.create_task(
                sessions.open_session(browsers.pool, browsers.settings, browsers.ada, "", BEGIN)
            )
        await until(lambda: waits_for_a_lock(world), "the other to wait")
        await held.commit()
        assert await waiting == (1 if who_is_first == "login" else None)
        assert await browsers.rows() == 0


async def waits_for_a_lock(world: World) -> bool:
    return bool(
        await world.value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock')"
        )
    )


async def test_many_log_ins_beside_a_change_of_the_password_leave_no_session(world: World) -> None:
    async with browsers_of(world) as browsers:

        async def keep_opening(until_changed: asyncio.Task[int]) -> int:
            opened = 0
            while not until_changed.done():
                raw = await sessions.open_session(browsers.pool, browsers.settings, browsers.ada, "", BEGIN)
                opened += raw is not None
            return opened

        changing = asyncio.create_task(change_password(browsers.pool, "ada", OTHER))
        opened = await asyncio.gather(*(keep_opening(changing) for _ in range(4)))
        assert await browsers.rows() == 0
        assert sum(opened) == await changing


async def test_a_page_of_a_session_knows_a_token_that_no_other_session_has(world: World) -> None:
    async with browsers_of(world) as browsers:
        first, second = await browsers.open(), await browsers.open()
        token = sessions.csrf_token(first)
        assert first not in token
        again = sessions.csrf_token(first)
        # a guess beside it in a compressed answer learns nothing: each answer has another
        assert (
            len(
                {token[at : at + 8] for at in range(0, len(token), 8)} & {again[at : at + 8] for at in range(0, 128, 8)}
            )
            == 0
        )
        assert sessions.is_csrf_token(first, token)
        assert sessions.is_csrf_token(first, again)
        half = len(token) // 2
        for wrong in (
            *("", sessions.csrf_token(second), token[:-1], token[:-2], f"{token}00", "\ud800", "ü"),
            *(token[:half], token[half:], token[:half] + again[half:], "0" * len(token)),
        ):
            assert not sessions.is_csrf_token(first, wrong)
