"""Caching: `Vary` on every answer, and conditional requests from scripts of other sites."""

import pytest

from tests.api.served import serving
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

ELSEWHERE = "https://judge.example"
PATHS = ("/api/users/u0", "/api/users/u0?tz=Asia/Tokyo", "/api/leaderboard", "/static/app.js", "/static/favicon.svg")


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_what_is_known_already_varies_as_what_is_not(world: World, coding: str) -> None:
    await world.publish([event for n in range(60) for event in (registered(f"u{n}"), solved(f"s{n}", f"u{n}", "p", n))])
    await world.run_once()
    async with serving(world, api_cors_origins=(ELSEWHERE,)) as api:
        await api.until_from("redis")  # where it is read from is in the tag
        asked = {"Accept-Encoding": coding, "Origin": ELSEWHERE}
        for path in PATHS:
            found = await api.anybody.get(path, headers=asked)
            known = await api.anybody.get(path, headers=asked | {"If-None-Match": found.headers["etag"]})
            assert (found.status_code, known.status_code) == (200, 304), path
            varies = "Accept-Encoding, Origin" if path.startswith("/api/") else "Accept-Encoding"
            assert found.headers.get_list("vary") == known.headers.get_list("vary") == [varies], path
        for path in ("/", "/leaderboard", "/users/u0"):
            found = await api.anybody.get(path, headers=asked)
            assert found.headers.get_list("vary") == ["Accept-Encoding"], path
        found = await api.anybody.get("/api/users/nobody", headers=asked)
        assert found.headers.get_list("vary") == ["Accept-Encoding, Origin"]


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/api/leaderboard", "if-none-match", 200),
        ("/api/events?board=true", "last-event-id", 200),
        ("/api/leaderboard", "authorization", 400),
        ("/api/leaderboard", "x-csrf-token", 400),
    ],
)
async def test_other_sites_may_ask_for_what_is_new_and_with_nobodys_log_in(
    world: World, path: str, header: str, status: int
) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": header}
    async with serving(world, api_cors_origins=("https://judge.example",)) as api:
        found = await api.anybody.options(path, headers=asked | {"Origin": "https://judge.example"})
        assert found.status_code == status
        allowed = found.headers["access-control-allow-headers"].lower().split(", ")
        assert (header in allowed) == (status == 200)


async def test_a_profile_is_known_although_it_was_read_at_another_time(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    await world.run_once()
    async with serving(world) as api:
        await api.until_from("redis")
        found = await api.anybody.get("/api/users/u")
        known = {"If-None-Match": found.headers["etag"]}

        async def read_later() -> bool:
            again = await api.get("/api/users/u")
            return bool(again["rank_as_of"] != found.json()["rank_as_of"])

        await until(read_later, "the rank to be of another time")
        assert (await api.anybody.get("/api/users/u", headers=known)).status_code == 304
