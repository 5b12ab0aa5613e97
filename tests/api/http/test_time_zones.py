"""Time zones: Python and PostgreSQL mean the same by every name that a request may use."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from solve_api.http.time_zones import known_zones, postgresql_name
from tests.api.served import problem_of, serving
from tests.events import registered, solved
from tests.world import World

# winter and summer, and long enough ago that no database of time zones will say otherwise
MOMENTS = [datetime(2020, month, 15, 23, 30, tzinfo=UTC) for month in (1, 7)]
BARE = {"EST", "MST", "HST", "CET", "EET", "MET", "WET", "PST8PDT", "EST5EDT", "Japan", "Singapore", "GMT", "GMT+0"}


async def test_postgresql_has_every_zone_and_the_same_time_in_it(world: World) -> None:
    zones = {name: ZoneInfo(name) for name in known_zones()}
    asked = """
        SELECT array_agg(moment::timestamp ORDER BY moment)
        FROM unnest($1::timestamptz[]) AS moment
        WHERE (SELECT set_config('TimeZone', $2, true)) IS NOT NULL
    """
    async with world.database() as database:
        there = {name for (name,) in await database.fetch("SELECT name FROM pg_timezone_names")}
        assert {postgresql_name(zone) for zone in zones.values()} <= there
        said = {name: await database.fetchval(asked, MOMENTS, postgresql_name(zone)) for name, zone in zones.items()}
    assert said == {
        name: [moment.astimezone(zone).replace(tzinfo=None) for moment in MOMENTS] for name, zone in zones.items()
    }


async def test_a_zone_without_an_area_is_one_and_a_setting_of_the_machine_is_none(world: World) -> None:
    assert known_zones() >= BARE
    summer = (datetime(2026, 7, 1, 22, 30, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds()
    await world.publish([registered("u"), solved("1", "u", "p", summer)])
    await world.run_once()
    async with serving(world) as api:
        found = await api.get("/api/users/u", params={"tz": "CET"})
        assert (found["timezone"], found["days"]) == ("CET", [{"day": "2026-07-02", "solved": 1}])
        for name in ("localtime", "Factory", "+00:00", "cet", "../UTC", "/etc/localtime", ""):
            problem_of(await api.anybody.get("/api/users/u", params={"tz": name}), 422, "timezone-unknown")
