"""Equal requests share one read, and none gets a read that started before it arrived."""

import asyncio
import re
from html import unescape
from urllib.parse import quote, unquote_plus, urlencode

import httpx
import pytest

from solve_api.ranking.single_flight import SingleFlight
from tests.api.served import serving
from tests.events import registered, solved
from tests.world import World


class Reads:
    """Reads that end on request; each returns how many started before it."""

    def __init__(self) -> None:
        self.started = 0
        self.go_on = asyncio.Event()

    async def read(self) -> int:
        number, self.started = self.started, self.started + 1
        await self.go_on.wait()
        return number


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_while_one_reads_shares_the_next_read() -> None:
    flight, reads = SingleFlight(), Reads()
    first = [asyncio.create_task(flight.run("board", reads.read)) for _ in range(3)]
    await _turn()
    later = [asyncio.create_task(flight.run("board", reads.read)) for _ in range(50)]
    other = asyncio.create_task(flight.run("another", reads.read))
    await _turn()
    assert reads.started == 2
    reads.go_on.set()
    assert await asyncio.gather(*first) == [0] * 3
    assert await asyncio.gather(*later) == [2] * 50
    assert await other == 1
    assert await flight.run("board", reads.read) == 3


async def test_an_error_is_of_those_who_waited_for_it() -> None:
    flight = SingleFlight()

    async def fail() -> int:
        raise LookupError("failed")

    async def succeed() -> int:
        return 7

    found = await asyncio.gather(*(flight.run("board", fail) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [LookupError] * 3
    assert await flight.run("board", succeed) == 7


async def test_who_leaves_does_not_stop_the_others() -> None:
    flight, reads = SingleFlight(), Reads()
    leaving, staying = (asyncio.create_task(flight.run("board", reads.read)) for _ in range(2))
    await _turn()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    reads.go_on.set()
    assert await staying == 0


async def test_a_page_that_many_share_goes_to_each_with_headers_of_its_own(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    await world.run_once()
    async with serving(world) as api:
        for path in ("/", "/leaderboard", "/users/u"):
            found = await asyncio.gather(*(api.anybody.get(path) for _ in range(30)))
            assert {one.status_code for one in found} == {200}
            names = [[name for name, _ in one.headers.multi_items()] for one in found]
            assert all(len(set(each)) == len(each) for each in names), path
            assert len({one.headers["x-request-id"] for one in found}) == len(found)
        missing = await asyncio.gather(*(api.anybody.get("/users/nobody") for _ in range(10)))
        assert {one.status_code for one in missing} == {404}


async def test_ids_that_are_equal_in_some_spelling_never_share_an_answer(world: World) -> None:
    ids = ["a?b", "a%3Fb", "a#b", "a%23b", "a\\b", "a/b", "a%2Fb", "a b", "a+b", "a%20b"]
    await world.publish([event for n, one in enumerate(ids) for event in (registered(one), solved(f"s{n}", one, "p"))])
    await world.run_once()
    roads = {
        "page": lambda one: f"/users/{quote(one, safe='')}",
        "page by parameter": lambda one: f"/user?{urlencode({'id': one})}",
        "API": lambda one: f"/api/users/{quote(one, safe='')}",
        "API by parameter": lambda one: f"/api/user?{urlencode({'id': one})}",
        "board": lambda one: f"/leaderboard?{urlencode({'around': one})}",
        "API board": lambda one: f"/api/leaderboard?{urlencode({'me': one, 'limit': 1})}",
    }
    async with serving(world) as api:
        for name, road in roads.items():
            asked = [one for _ in range(4) for one in ids]
            found = await asyncio.gather(*(api.anybody.get(road(one)) for one in asked))
            assert [_whose(answer) for answer in found] == asked, name


def _whose(found: httpx.Response) -> str:
    """The user whom an answer is about."""
    if "json" in found.headers["content-type"]:
        body = found.json()
        return str((body.get("me") or body)["user_id"])
    link = re.search(r'around=([^"&#]*)', found.text)
    assert link, found.text
    return unquote_plus(unescape(link[1]))
