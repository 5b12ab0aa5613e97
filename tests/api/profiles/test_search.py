"""Search, compared with a plain model: names in every form of Unicode, ranked, page by page while counts move."""

import json
import random
import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from solve_api.database import open_request_pool
from solve_api.profiles import search as module
from solve_api.profiles.bodies import UserList
from solve_api.profiles.search import search, users_exactly, users_named
from solve_api.profiles.search_blocks import SEARCH_SQL, SearchBlocks, open_search_blocks
from solve_projector.settings import ProjectorSettings
from solve_projector.store.locks import Lock, try_lock_transaction
from tests.api.reading import seen
from tests.api.served import serving
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

# capitals, ligatures, full width, combining marks, and letters that fold to several or only to another normal form
LETTERS = "aAbßẞİiıﬁＡÅK\u030a\u0345ΐΪ\u0301Σςé \u00a0_%\U0010ffff😀"
texts = st.text(st.sampled_from(LETTERS), min_size=1, max_size=4)
FEW, BLOCK, GROUP = 8, 12, 3
FOR_EACH = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class User:
    """A row of `users`."""

    user_id: str
    username: str
    solved: int


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())[:200]


def keys_of(user: User) -> set[str]:
    return {folded(user.username), folded(user.user_id)}


def matching(users: Sequence[User], text: str) -> list[User]:
    """Those whom a search finds, in its order."""
    found = [one for one in users if any(key.startswith(folded(text)) for key in keys_of(one))]
    return ranked(found)


def ranked(users: Sequence[User]) -> list[User]:
    return sorted(users, key=lambda one: (-one.solved, one.user_id.encode()))


users_lists = st.lists(st.builds(User, texts, texts, st.integers(0, 3)), unique_by=lambda one: one.user_id, max_size=20)


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections of the API."""
    async with open_request_pool(ProjectorSettings(database_url=SecretStr(database_url)), 2) as opened:
        yield opened


async def hold(pool: asyncpg.Pool, users: Sequence[User]) -> None:
    """These users and no others, as a site may insert them."""
    await pool.execute("DELETE FROM user_search_state; DELETE FROM users")
    await pool.execute(
        "INSERT INTO users (user_id, username, problems_solved, last_solved_at)"
        " SELECT *, CASE WHEN solved > 0 THEN now() END"
        " FROM unnest($1::text[], $2::text[], $3::integer[]) AS made (user_id, username, solved)",
        *([getattr(one, name) for one in users] for name in ("user_id", "username", "solved")),
    )


async def move(pool: asyncpg.Pool, rng: random.Random, users: Sequence[User]) -> list[User]:
    """Half of the users solve something more, or have something taken back."""
    moved = [replace(one, solved=rng.randrange(1, 12)) if rng.random() < 0.5 else one for one in users]
    await pool.execute(
        "UPDATE users SET problems_solved = solved, last_solved_at = CASE WHEN solved > 0 THEN now() END"
        " FROM unnest($1::text[], $2::integer[]) AS moved (id, solved) WHERE user_id = id",
        [one.user_id for one in moved],
        [one.solved for one in moved],
    )
    return moved


async def asked(pool: asyncpg.Pool, text: str, limit: int, cursor: str | None = None) -> UserList:
    """A page, without blocks being made."""
    blocks = SearchBlocks(pool)
    blocks.renew = lambda: None  # type: ignore[method-assign]
    return await search(pool, blocks, text, limit, cursor)


async def paged(pool: asyncpg.Pool, text: str, limit: int) -> list[str]:
    """The ids of all pages."""
    page = await asked(pool, text, limit)
    found = [one.user_id for one in page.users]
    while page.next_cursor:
        page = await asked(pool, text, limit, page.next_cursor)
        found += [one.user_id for one in page.users]
    return found


async def search_keys(pool: asyncpg.Pool) -> set[tuple[str, str]]:
    return {tuple(row) for row in await pool.fetch("SELECT key, user_id FROM user_search_keys")}


@FOR_EACH
@given(users_lists, texts, st.integers(1, 7))
@example([User("1", "Straße", 1), User("2", "STRASSE", 2)], "strass", 1)
@example([User("1", "\u0390x", 1)], "\u03aa\u0301X", 1)
@example([User("ﬁ", "İ", 0)], "Fi", 1)
@example([User("1", "\ufdfa" * 200, 0)], "\ufdfa" * 200, 1)
async def test_few_are_found_as_the_model_finds_them(
    pool: asyncpg.Pool, users: list[User], text: str, limit: int
) -> None:
    await hold(pool, users)
    assert await paged(pool, text, limit) == [one.user_id for one in matching(users, text)]
    assert {one.user_id for one in await users_exactly(pool, text)} == {
        one.user_id for one in users if folded(text) in keys_of(one)
    }
    named = (await users_named(pool, text, 100)).users
    assert [one.user_id for one in named] == [one.user_id for one in ranked(users) if one.username == text]


@FOR_EACH
@given(st.randoms(use_true_random=False), st.text("ab", max_size=3), st.integers(1, 7), st.integers(0, 150))
async def test_of_many_those_are_ranked_who_had_solved_most(
    pool: asyncpg.Pool, rng: random.Random, start: str, limit: int, size: int
) -> None:
    text, most, best = start or "a", rng.choice((0, 3, 100)), rng.choice((5, 10, 20))
    names, famous = ["".join(rng.choices("ab", k=4)) for _ in range(size)], rng.choice(["aba", "aa", "-"])
    # sometimes the best have names of one beginning, and so lie in one block
    users = [
        User(f"{rng.choice('ab')}{number:03}", name, rng.randint(0, most) + 100 * name.startswith(famous))
        for number, name in enumerate(names)
    ]
    await hold(pool, users)
    small = {name: sql.replace("300", str(BLOCK)).replace("32", str(GROUP)) for name, sql in SEARCH_SQL.items()}
    await pool.execute(small["make_blocks"])
    now = {one.user_id: one for one in await move(pool, rng, users)}
    found = matching(users, text)
    if sum(key.startswith(text) for one in users for key in keys_of(one)) > FEW:
        found = found[:best]
    expected = ranked([now[one.user_id] for one in found])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "SEARCH_SQL", small)
        patched.setattr(module, "FEW_KEYS", FEW)
        patched.setattr(module, "BEST_OF_MANY", best)
        assert await paged(pool, text, limit) == [one.user_id for one in expected]


@FOR_EACH
@given(users_lists, st.lists(st.tuples(texts, texts), max_size=5), st.randoms(use_true_random=False))
async def test_keys_follow_whoever_writes_users(
    pool: asyncpg.Pool, users: list[User], names: list[tuple[str, str]], rng: random.Random
) -> None:
    await hold(pool, users)
    kept = {one.user_id: one for one in users}
    for user_id, username in [*names, *((one.user_id, one.user_id) for one in users[:2])]:
        await pool.execute(
            "INSERT INTO users (user_id, username) VALUES ($1, $2)"
            " ON CONFLICT (user_id) DO UPDATE SET username = excluded.username",
            user_id,
            username,
        )
        kept[user_id] = User(user_id, username, 0)
    removed = rng.sample(sorted(kept), len(kept) // 3)
    await pool.execute("DELETE FROM users WHERE user_id = ANY ($1::text[])", removed)
    left = [one for one in kept.values() if one.user_id not in removed]
    assert await search_keys(pool) == {(key, one.user_id) for one in left for key in keys_of(one)}
    await pool.execute("TRUNCATE users")
    assert await search_keys(pool) == set()


async def test_an_id_that_no_index_holds_is_no_error(pool: asyncpg.Pool) -> None:
    await hold(pool, [User("x" * 2_000, "long " * 1_000, 0), User("u", "long " * 1_000, 0)])
    assert await paged(pool, "long", 5) == ["u"]


async def test_counts_that_move_call_no_trigger(pool: asyncpg.Pool) -> None:
    await hold(pool, [User("u", "ada", 1)])
    await pool.execute("DELETE FROM user_search_keys; UPDATE users SET problems_solved = 2, version = 3")
    assert await search_keys(pool) == set()


async def test_a_page_while_counts_move_repeats_and_hides_nobody_else(pool: asyncpg.Pool) -> None:
    await hold(pool, [User(f"u{number}", "n", 10 - number) for number in range(6)])
    first = await asked(pool, "n", 2)
    await pool.execute("UPDATE users SET problems_solved = 50 WHERE user_id = 'u5'")
    rest = await asked(pool, "n", 5, first.next_cursor)
    assert [one.user_id for one in (*first.users, *rest.users)] == ["u0", "u1", "u2", "u3", "u4"]


async def test_many_without_blocks_are_said_to_be_incomplete_until_they_are_made(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW_KEYS", FEW)
    await hold(pool, [User(f"u{number:02}", "n", number) for number in range(20)])
    async with open_search_blocks(pool) as blocks:
        first = await search(pool, blocks, "u", 3, None)
        assert [one.user_id for one in first.users] == ["u07", "u06", "u05"]
        assert (first.complete, first.more) == (False, True)
        assert blocks.making
        await blocks.making
        second = await search(pool, blocks, "u", 3, None)
        assert [one.user_id for one in second.users] == ["u19", "u18", "u17"]
        assert (second.complete, second.more) == (True, True)
        # a name that no longer starts so, and a user who is gone
        await pool.execute("UPDATE users SET username = 'm' WHERE user_id = 'u19'")
        await pool.execute("DELETE FROM users WHERE user_id = 'u18'")
        assert [one.user_id for one in (await search(pool, blocks, "n", 3, None)).users] == ["u17", "u16", "u15"]


async def test_a_search_of_many_reads_few_blocks(pool: asyncpg.Pool) -> None:
    await hold(pool, [User(f"u{number:05}", f"n{number:05}", number % 50) for number in range(20_000)])
    await pool.execute(SEARCH_SQL["make_blocks"])
    explain = "EXPLAIN (ANALYZE, FORMAT JSON) " + SEARCH_SQL["search"]
    for text in ("u", "n"):
        plan = json.loads(await pool.fetchval(explain, text, None, None, 21, module.FEW_KEYS, module.BEST_OF_MANY))
        rows = {one["Subplan Name"]: one["Actual Rows"] for one in nodes_of(plan[0]["Plan"]) if "Subplan Name" in one}
        inner = await pool.fetchval(
            "SELECT count(*) FROM user_search_blocks WHERE block >= 0 AND starts_with(first_key, $1)", text
        )
        assert inner > 30
        assert rows["CTE inner_blocks"] < inner / 2 + 3
        assert rows["CTE best"] < 4 * module.BEST_OF_MANY


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes_of(part)


async def test_blocks_are_made_by_one_and_not_before_it_is_time(pool: asyncpg.Pool) -> None:
    async def make() -> object:
        blocks = SearchBlocks(pool)
        blocks.renew()
        assert blocks.making
        await blocks.making
        return await pool.fetchval("SELECT as_of FROM user_search_state")

    await hold(pool, [User("u", "n", 1)])
    first = await make()
    await pool.execute("UPDATE user_search_state SET fresh_until = now() + interval '1 hour'")
    assert await make() == first
    await pool.execute("UPDATE user_search_state SET fresh_until = now() - interval '1 s'")
    async with pool.acquire() as other, other.transaction():
        assert await try_lock_transaction(other, Lock.SEARCH_BLOCKS)  # as another process that makes them
        assert await make() == first
    assert await make() != first


async def test_blocks_that_cannot_be_made_are_no_fault_of_a_search(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW_KEYS", 1)
    await hold(pool, [User("u1", "n", 1), User("u2", "n", 1)])
    await pool.execute("ALTER TABLE user_search_state ADD CHECK (as_of < '2000-01-01Z')")
    async with open_search_blocks(pool) as blocks:
        assert not (await search(pool, blocks, "u", 3, None)).complete
        assert blocks.making
        await blocks.making
        tried = blocks.making
        assert not (await search(pool, blocks, "u", 3, None)).complete
        assert blocks.making is tried


async def test_over_http_and_on_the_page(world: World) -> None:
    await world.publish(
        [
            *(registered(f"u{number}", username=f"Ada {number}") for number in range(3)),
            registered("ADA"),
            solved("1", "u2", "p", 1),
        ]
    )
    await world.run_once()
    async with serving(world) as api:
        first = await api.get("/api/users", params={"q": "ａDA", "limit": 2})
        assert ([one["user_id"] for one in first["users"]], first["more"]) == (["u2", "ADA"], True)
        second = await api.get("/api/users", params={"q": "ada", "limit": 2, "cursor": first["next_cursor"]})
        assert [one["user_id"] for one in second["users"]] == ["u0", "u1"]
        assert (second["next_cursor"], second["complete"], second["more"]) == (None, True, False)
        page = seen(await api.anybody.get("/search", params={"q": "ada"}))
        assert [one for one in page.links if one.startswith("/users/")] == [
            "/users/ADA", "/users/u2", "/users/u0", "/users/u1",
        ]  # fmt: skip
        old = seen(await api.anybody.get("/search", params={"username": "ada"}))
        assert (old.links, old.text) == (page.links, page.text)
        await world.publish([registered("u2", 5, username="Bob")])
        await world.run_once()

        async def renamed() -> bool:
            return bool((await api.get("/api/users", params={"q": "bo"}))["users"])

        await until(renamed, "the new name to be found")
        assert "u2" not in [one["user_id"] for one in (await api.get("/api/users", params={"q": "ada"}))["users"]]
