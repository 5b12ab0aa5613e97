"""Profiles, compared with the plain model."""

import asyncio
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from solve_api.database import open_request_pool
from solve_api.profiles.profile import Rank, profile
from solve_api.profiles.search import users_named
from solve_projector.domain.ranking import RankKey
from solve_projector.errors import UserUnknown
from tests.api.served import problem_of, serving
from tests.events import at, registered, revoked, solved
from tests.waiting import until
from tests.world import World

UTC_ZONE = ZoneInfo("UTC")


async def third(_key: RankKey) -> Rank:
    return Rank(3, datetime.now(UTC))


async def test_a_profile_shows_first_standing_solves_by_day_language_and_time(world: World) -> None:
    day = 86_400
    await world.publish(
        [
            registered("u", username="ada"),
            solved("1", "u", "p", 10, language="cpp"),
            solved("2", "u", "p", 5, language="python"),  # earlier: the first solve of p
            solved("3", "u", "q", day + 1, language="cpp", contest_id="round-1"),
            solved("4", "u", "r", day + 2),
            solved("5", "u", "s", 2 * day),
            revoked("5", "u", "s", 2 * day + 1),
            solved("6", "u", "t", 4 * day, language="cpp"),
        ]
    )
    await world.run_once()
    async with open_request_pool(world.settings, 2) as pool:
        found = await profile(pool, third, "u", UTC_ZONE)
        west = await profile(pool, third, "u", ZoneInfo("America/New_York"))
    assert (found.username, found.problems_solved, found.rank, found.last_solved_at) == ("ada", 4, 3, at(4 * day))
    assert [(one.day, one.solved) for one in found.days] == [
        (date(2026, 1, 1), 1), (date(2026, 1, 2), 2), (date(2026, 1, 5), 1),
    ]  # fmt: skip
    assert (found.current_streak, found.longest_streak) == (0, 2)
    assert [(one.language, one.solved) for one in found.languages] == [("cpp", 2), ("python", 1)]
    assert [(one.problem_id, one.submission_id, one.language, one.contest_id) for one in found.recent_solves] == [
        ("t", "6", "cpp", None), ("r", "4", None, None), ("q", "3", "cpp", "round-1"), ("p", "2", "python", None),
    ]  # fmt: skip
    assert west.days[0].day == date(2025, 12, 31)
    assert abs((datetime.now(UTC) - found.as_of).total_seconds()) < 60


async def test_who_has_solved_nothing_has_a_profile_without_rank(world: World) -> None:
    await world.publish([registered("u")])
    await world.run_once()
    async with open_request_pool(world.settings, 2) as pool:
        found = await profile(pool, third, "u", UTC_ZONE)
        with pytest.raises(UserUnknown, match="no user nobody"):
            await profile(pool, third, "nobody", UTC_ZONE)
    assert (found.problems_solved, found.rank, found.days, found.recent_solves) == (0, None, [], [])


async def test_names_repeat_and_the_list_says_whose_they_are(world: World) -> None:
    await world.publish(
        [
            *(registered(f"u{n}", username="ada") for n in range(4)),
            registered("x", username="Ada"),
            solved("1", "u2", "p", 1),
        ]
    )
    await world.run_once()
    async with open_request_pool(world.settings, 2) as pool:
        everybody = await users_named(pool, "ada", 10)
        some = await users_named(pool, "ada", 2)
        nobody = await users_named(pool, "Grace", 2)
    assert [one.user_id for one in everybody.users] == ["u2", "u0", "u1", "u3"]
    assert not everybody.more
    assert ([one.user_id for one in some.users], some.more) == (["u2", "u0"], True)
    assert nobody.users == []


SLOW = """
    ALTER TABLE solves RENAME TO kept;
    CREATE VIEW solves AS SELECT * FROM kept WHERE (SELECT count(*) FROM pg_advisory_xact_lock_shared(7)) = 1
"""


async def test_a_profile_has_every_solve_that_was_committed_before_its_as_of(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    await world.run_once()
    async with open_request_pool(world.settings, 2) as pool, world.database() as database:
        await database.execute(SLOW)
        async with database.transaction():
            await database.execute("SELECT pg_advisory_xact_lock(7)")
            asked = asyncio.create_task(profile(pool, third, "u", UTC_ZONE))
            await until(lambda: reads_wait(world), "the profile to be read")
            async with world.database() as projector:
                await projector.execute("UPDATE users SET problems_solved = 2 WHERE user_id = 'u'")
            committed_at = datetime.now(UTC)
        found = await asked
    assert found.problems_solved == 2 or found.as_of <= committed_at


async def reads_wait(world: World) -> bool:
    """Whether somebody's snapshot is taken and the rest held up."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
    return bool(await world.value(waiting))


async def test_a_zone_that_postgresql_does_not_know_is_refused_and_no_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian keeps old names in a package of its own, which PostgreSQL's image has not."""
    await world.publish([registered("a"), solved("1", "a", "p", 1)])
    await world.run_once()
    monkeypatch.setattr("solve_api.profiles.profile.postgresql_name", lambda _: "Asia/NotHere")
    async with serving(world) as api:
        found = await api.anybody.get("/api/users/a", params={"tz": "Asia/Calcutta"})
        assert "Asia/Calcutta" in problem_of(found, 422, "timezone-unknown")["detail"]
