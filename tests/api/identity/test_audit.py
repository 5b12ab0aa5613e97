"""The audit trail: complete whatever a client sends, and never changed."""

import asyncio
import re
from pathlib import Path

import pytest

from solve_api.database import open_request_pool, transaction
from solve_api.identity.accounts import create_admin
from solve_api.identity.actors import Actor
from solve_api.identity.audit import ROWS_MAX, TEXT_MAX_CHARS, latest, record
from solve_api.identity.tokens import Scope
from tests.api.served import PASSWORD, serving
from tests.world import World

ROOT = Path(__file__).parents[3]


class Odd:
    """What some error's detail may hold."""

    def __str__(self) -> str:
        return "odd \0 \ud800"


async def test_a_row_has_who_how_what_with_which_result_when_and_from_where(world: World) -> None:
    actor = Actor("ada", "token:nightly", "192.0.2.7", "req-1")
    async with world.database() as database:
        before = await database.fetchval("SELECT now()")
        await record(database, actor, "backfill", {"dry_run": True, "users": 3})
        (found,) = await latest(database, 10)
    assert (found.who, found.via, found.action, found.detail, found.result, found.request_id, found.client) == (
        "ada", "token:nightly", "backfill", {"dry_run": True, "users": 3}, "done", "req-1", "192.0.2.7",
    )  # fmt: skip
    assert found.at >= before
    assert found.at.tzinfo is not None


async def test_what_postgresql_cannot_keep_is_replaced_and_what_is_too_long_is_cut(world: World) -> None:
    odd = "a\0b\ud800c"
    detail = {odd: [odd, {"x": odd}, (odd,), {odd}], "it": Odd(), "nan": float("nan"), "big": 10**30, "none": None}
    async with world.database() as database:
        await record(database, Actor(odd, "x" * 5000, odd, odd), odd, detail, odd)
        (found,) = await latest(database, 1)
    plain = "a\N{REPLACEMENT CHARACTER}b?c"
    assert {found.who, found.action, found.result, found.request_id, found.client} == {plain}
    assert found.via == "x" * TEXT_MAX_CHARS
    assert found.detail == {
        plain: [plain, {"x": plain}, [plain], [plain]],
        "it": "odd \N{REPLACEMENT CHARACTER} ?",
        "nan": "nan",
        "big": 10**30,
        "none": None,
    }


async def test_a_row_of_another_form_hides_no_other(world: World) -> None:
    async with world.database() as database:
        await record(database, Actor("ada", "cli"), "list-admins")
        await database.execute(
            "INSERT INTO admin_audit (who, via, action, detail, result) VALUES ('x', 'psql', 'y', '[7]', 'z')"
        )
        assert [one.detail for one in await latest(database, 2)] == [{"detail": [7]}, {}]


async def test_pages_go_back_to_the_first_row_and_none_is_too_long(world: World) -> None:
    async with world.database() as database:
        for number in range(5):
            await record(database, Actor("ada", "cli"), f"act-{number}")
        newest = await latest(database, 2)
        older = await latest(database, 2, newest[-1].audit_id)
        oldest = await latest(database, 2, older[-1].audit_id)
        assert [one.action for one in [*newest, *older, *oldest]] == ["act-4", "act-3", "act-2", "act-1", "act-0"]
        await database.execute(
            "INSERT INTO admin_audit (who, via, action, result) "
            "SELECT 'x', 'cli', 'y', 'z' FROM generate_series(1, $1)",
            ROWS_MAX,
        )
        assert len(await latest(database, 10**9)) == ROWS_MAX


@pytest.mark.parametrize("limit", [1, 2, 3, ROWS_MAX])
async def test_no_page_of_the_api_leads_to_an_empty_one(world: World, limit: int) -> None:
    async with world.database() as database:
        await database.execute(
            "INSERT INTO admin_audit (who, via, action, result) "
            "SELECT 'x', 'cli', 'y', 'z' FROM generate_series(1, $1)",
            2 * limit,
        )
    async with serving(world) as api, api.script(Scope.READ) as script:
        sizes, before = [], {}
        while True:
            found = (await script.get("/api/admin/activity", params={"limit": limit, **before})).json()
            sizes.append(len(found["activities"]))
            if found["before_id"] is None:
                break
            assert found["before_id"] == found["activities"][-1]["audit_id"]
            before = {"before_id": found["before_id"]}
    assert sizes == [limit, limit]


@pytest.mark.parametrize("pooled", [False, True])
async def test_what_was_undone_is_not_in_the_table(world: World, pooled: bool) -> None:
    """An entry is one with what it tells of: both or neither."""
    async with open_request_pool(world.settings, 2) as pool, world.database() as connection:
        database = pool if pooled else connection

        async def break_off() -> None:
            async with transaction(database) as inside:
                await create_admin(inside, "ada", PASSWORD)
                await record(inside, Actor("root", "cli"), "create-admin", {"about": "ada"})
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await break_off()
        assert await latest(connection, 1) == []
        assert await connection.fetchval("SELECT count(*) FROM admins") == 0


def test_no_statement_of_ours_changes_or_takes_out_a_row() -> None:
    files = [path for folder in ("api", "projector") for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = {path: path.read_text() for path in files if path.suffix in {".py", ".sql"}}
    naming = {path.name for path, text in texts.items() if "admin_audit" in text}
    assert naming == {"0004_admins.sql", "0007_audit_deeds.sql", "migrate.py", "audit.sql"}
    changing = re.compile(r"\b(UPDATE|DELETE\s+FROM|TRUNCATE|DROP\s+TABLE)\b[^;]*\badmin_audit\b", re.IGNORECASE)
    assert [path for path, text in texts.items() if changing.search(text)] == []
