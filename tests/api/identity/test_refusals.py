"""Logins refused unread: each is in a row in the end, and while there is no PostgreSQL they cost nearly nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from solve_api.database import open_request_pool
from solve_api.errors import PasswordsBusy
from solve_api.identity import audit, refusals
from solve_api.identity.actors import Actor
from solve_api.identity.refusals import ADDRESSES_MAX, UNREAD, Refusals, recording_refusals
from tests.world import World

WAY_S = 30.0


@pytest_asyncio.fixture
async def pool(world: World) -> AsyncIterator[asyncpg.Pool]:
    async with open_request_pool(world.settings, 2) as opened:
        yield opened


def refuse(counted: Refusals, *addresses: str) -> None:
    """One login of each."""
    for address in addresses:
        with pytest.raises(PasswordsBusy), counted.counting(Actor(UNREAD, "password", address), "login"):
            raise PasswordsBusy("busy")


def addresses(number: int, first: int = 1) -> list[str]:
    return [f"192.0.2.{one}" for one in range(first, first + number)]


async def attempts(world: World) -> dict[str, int]:
    """By address. A row for each of them, and no second one."""
    rows = await world.fetch("SELECT client, detail FROM admin_audit")
    found = {row["client"]: json.loads(row["detail"])["attempts"] for row in rows}
    assert len(found) == len(rows)
    return found


async def test_a_round_that_is_cancelled_leaves_the_rest_to_the_last_one(
    world: World, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, record = asyncio.Event(), audit.record

    async def stalling(*given: Any) -> None:
        if len(await attempts(world)) == 2 and not stalled.is_set():
            stalled.set()
            await asyncio.Event().wait()
        await record(*given)

    monkeypatch.setattr(audit, "record", stalling)
    monkeypatch.setattr(refusals, "RECORD_INTERVAL_S", 0.01)
    async with asyncio.timeout(WAY_S), recording_refusals(pool) as counted:
        refuse(counted, *addresses(20))
        await stalled.wait()
    assert await attempts(world) == dict.fromkeys(addresses(20), 1)


async def test_a_round_without_postgresql_is_one_attempt_and_the_addresses_stay_few(
    world: World, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    flood = iter(addresses(250))
    tried = 0

    async def unavailable(*_: Any) -> None:
        nonlocal tried
        tried += 1
        refuse(counted, next(flood))  # they come on meanwhile
        raise ConnectionRefusedError("nobody there")

    async with recording_refusals(pool) as counted:
        refuse(counted, *(next(flood) for _ in range(ADDRESSES_MAX)))
        with monkeypatch.context() as down, capture_logs() as logs:
            down.setattr(audit, "record", unavailable)
            for _ in range(3):
                await counted.record()
        assert (tried, [one["action"] for one in logs]) == (3, ["refusals_unrecorded"] * 3)
    found = await attempts(world)
    assert found == dict.fromkeys(addresses(ADDRESSES_MAX), 1) | {refusals.OTHERS: 3}


async def test_a_row_that_is_refused_keeps_no_other_from_being_added(world: World, pool: asyncpg.Pool) -> None:
    await world.fetch("ALTER TABLE admin_audit ADD CONSTRAINT one CHECK (client <> '192.0.2.1')")
    async with recording_refusals(pool) as counted:
        refuse(counted, *addresses(3))
        await counted.record()
        assert await attempts(world) == dict.fromkeys(addresses(2, first=2), 1)
        await world.fetch("ALTER TABLE admin_audit DROP CONSTRAINT one")
    assert await attempts(world) == dict.fromkeys(addresses(3), 1)


async def test_a_process_that_ends_does_not_wait_for_postgresql(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(audit, "record", silent)
    monkeypatch.setattr(refusals, "LAST_S", 0.01)
    with capture_logs() as logs:
        async with asyncio.timeout(WAY_S), recording_refusals(pool) as counted:
            refuse(counted, *addresses(2))
    assert [(one["action"], one["error"]) for one in logs] == [("refusals_unrecorded", "no answer in time")]
