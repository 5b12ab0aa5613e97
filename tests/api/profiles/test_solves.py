"""All solves of a user, compared with a plain model, page by page, and on pages without scripts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from solve_api.database import open_request_pool
from solve_api.pages.formats import solves_path, user_path
from solve_api.pages.user import SOLVES_ROWS
from solve_api.profiles.solves import solves
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import newest_revision
from tests.api.reading import seen
from tests.api.served import serving
from tests.events import registered, revoked, solved
from tests.world import World

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
INSERT = (
    "INSERT INTO solves SELECT 'u', problem_id, at, 's', '', ''"
    " FROM unnest($1::text[], $2::timestamptz[]) AS made (problem_id, at)"
)


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections of the API; `u` and `v` are registered."""
    async with open_request_pool(ProjectorSettings(database_url=SecretStr(database_url)), 2) as opened:
        await opened.execute("INSERT INTO users (user_id, username) VALUES ('u', 'n'), ('v', 'n')")
        yield opened


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.text("aéΩ.", min_size=1, max_size=2), st.integers(0, 3), max_size=20),
    st.integers(1, 6),
)
async def test_pages_are_the_models_newest_first(
    pool: asyncpg.Pool, database_url: str, seconds: dict[str, int], limit: int
) -> None:
    writer = await asyncpg.connect(database_url, server_settings={"solve.revision": newest_revision()})
    await writer.execute("DELETE FROM solves")
    await writer.execute(INSERT, list(seconds), [BEGIN + timedelta(microseconds=one) for one in seconds.values()])
    page = await solves(pool, "u", limit, None)
    found = [one.problem_id for one in page.solves]
    first = True
    while page.next_cursor:
        if first:  # newer ones come meanwhile
            await writer.execute(INSERT, ["new"], [BEGIN + timedelta(days=1)])
            first = False
        page = await solves(pool, "u", limit, page.next_cursor)
        found += [one.problem_id for one in page.solves]
    await writer.close()
    assert found == sorted(seconds, key=lambda one: (-seconds[one], one.encode()))
    assert (await solves(pool, "v", limit, None)).solves == []


async def test_over_http_and_on_pages(world: World) -> None:
    odd = "a/solves"
    await world.publish(
        [
            registered("u", username="ada"),
            *(solved(str(number), "u", f"p{number}", number) for number in range(SOLVES_ROWS + 2)),
            revoked("0", "u", "p0", 1_000),
            registered(odd),
            solved("x", odd, "q", language="cpp"),
        ]
    )
    await world.run_once()
    async with serving(world) as api:
        first = await api.get("/api/users/u/solves?limit=100")
        assert (first["username"], first["problems_solved"]) == ("ada", SOLVES_ROWS + 1)
        assert [one["problem_id"] for one in first["solves"][:2]] == ["p101", "p100"]
        last = await api.get("/api/users/u/solves", params={"cursor": first["next_cursor"]})
        assert ([one["problem_id"] for one in last["solves"]], last["next_cursor"]) == (["p1"], None)
        assert (await api.get("/api/user/solves", params={"id": odd}))["solves"][0]["language"] == "cpp"
        profile = seen(await api.anybody.get("/users/u"))
        assert solves_path("u") in profile.links
        page = seen(await api.anybody.get(solves_path("u")))
        (following,) = [one for one in page.links if "cursor" in one]
        assert "p1" not in page.text.split()
        assert "p1" in seen(await api.anybody.get(following)).text.split()
        assert "q" in seen(await api.anybody.get(solves_path(odd))).text.split()
        assert "a/solves" in seen(await api.anybody.get(user_path(odd))).text
        seen(await api.anybody.get(solves_path("nobody")), 404)
