"""A contest API that refuses, redirects, breaks, or is none: what is said of it, what is tried again, and no secret."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
import trustme
from pydantic import SecretStr, ValidationError

from solve_sources.clics.contest_api import ContestLogin, Refused, answer_to, client_of, place_of
from solve_sources.clics.http_feed import Connected, HttpFeed, Line
from solve_sources.errors import FeedError
from tests.sources.clics.contest_answer import Turn
from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.follower import NOBODY, QUICK, feed_lines, following

SECRET = "s3cr\u00e9t/:@ %41"
LOGIN = ContestLogin(clics_username="jury", clics_password=SecretStr(SECRET))
LINES = feed_lines()
HTML = {"Content-Type": "text/html; charset=UTF-8"}
PLACES = {
    "https://judge.example/api/contests/wf47": "https://judge.example/api/contests/wf47",
    "https://judge.example/api/contests/wf47/": "https://judge.example/api/contests/wf47",
    "https://judge.example/api/v4/contests/2/event-feed": "https://judge.example/api/v4/contests/2",
    "http://10.0.0.1:8080/contests/a%20b": "http://10.0.0.1:8080/contests/a%20b",
    "https://judge.example/api/contests/contests": "https://judge.example/api/contests/contests",
    "https://judge.example/api/contests/": "https://judge.example/api",
    "https://judge.example/api": "https://judge.example/api",
    "https://[::1]:8443": "https://[::1]:8443",
}
REFUSED = [
    (Turn(status=401), "HTTP 401; it wants a login: set CLICS_USERNAME and CLICS_PASSWORD, or CLICS_TOKEN"),
    (Turn(status=403), "HTTP 403; set CLICS_USERNAME"),
    (Turn(status=404), "HTTP 404; there is no such contest, or this login may not see it"),
    (Turn(status=418), "HTTP 418; that is no contest API"),
    (Turn(status=204), "HTTP 204; that is no contest API"),
    (Turn(status=302), "HTTP 302; that is no contest API"),
    (Turn(status=302, headers={"Location": "ftp://127.0.0.1/"}), "redirects to where no contest can be"),
    (Turn(body=b"<html>Please log in</html>", headers=HTML), "is a page for people, not a contest API"),
    (Turn(body=b"<html>Please log in</html>"), "not a line of a CLICS event feed: <html>"),
    (Turn(body=b'{"code":403,"message":"no"}\n'), "not a line of a CLICS event feed: {"),
    (Turn(body=b"[1]\n"), "not a line of a CLICS event feed"),
    (Turn(body=b"[" * 100_000 + b"\n"), "not a line of a CLICS event feed"),
]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ContestServer]:
    async with ContestServer(LINES).serving() as running:
        yield running


async def first_pieces(feed: HttpFeed) -> list[Any]:
    """The pieces up to the first line."""
    found: list[Any] = []
    async for piece in feed.pieces():
        found.append(piece)
        if isinstance(piece, Line):
            break
    return found


@pytest.mark.parametrize("url", PLACES)
def test_the_url_may_be_that_of_a_contest_its_feed_or_its_api(url: str) -> None:
    assert place_of(url).url == PLACES[url]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://jury:{}@judge.example/api/contests/c", "holds a user or password"),
        ("https://{}@judge.example/api/contests/c", "holds a user or password"),
        ("jury:{}@judge.example/api", "none of http or https"),
        ("https://judge.example:{}/api", "none of http or https"),
        ("https://judge.example/api?token={}", "has a part after"),
        ("https://judge.example/api#{}", "has a part after"),
        ("ftp://judge.example/{}", "none of http or https"),
        ("https:///api/{}", "none of http or https"),
        ("https://judge.example/a b/{}", "none of http or https"),
        ("{}", "none of http or https"),
        ("", "none of http or https"),
    ],
)
def test_a_url_that_cannot_be_followed_is_refused_and_not_quoted(url: str, said: str) -> None:
    with pytest.raises(FeedError, match=said) as refused:
        HttpFeed(url.format("s3cret"), NOBODY)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"clics_username": "jury"},
        {"clics_password": SECRET},
        {"clics_username": "jury", "clics_password": SECRET, "clics_token": "t"},
        {"clics_username": "a:b", "clics_password": SECRET},
        {"clics_token": f"{SECRET}\n"},
        {"clics_ca_file": __file__},
    ],
)
def test_half_a_login_is_refused_and_not_quoted(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        ContestLogin(**given)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(("turn", "said"), REFUSED, ids=[said for _, said in REFUSED])
async def test_what_trying_again_cannot_help_ends_it_at_the_first_connection(
    server: ContestServer, turn: Turn, said: str
) -> None:
    server.turns.append(turn)
    with pytest.raises(FeedError) as refused:
        await first_pieces(HttpFeed(server.url, NOBODY, QUICK))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


async def test_the_same_is_tried_again_once_the_feed_was_read(server: ContestServer) -> None:
    async with following(server.url) as follower:
        await follower.until_whole()
        refusals = [turn for turn, _ in REFUSED if turn.status != 200]
        server.turns += refusals
        await server.cut()
        await follower.until(lambda: follower.connections() == [True, False], "another connection")
    assert follower.feed.counts["lost"] == len(refusals) + 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_server_that_cannot_now_is_asked_again(server: ContestServer, status: int) -> None:
    server.turns += [Turn(status=status, headers={"Retry-After": "0"})] * 3
    found = await first_pieces(HttpFeed(server.url, NOBODY, QUICK))
    assert isinstance(found[0], Connected)
    assert len(server.feed_requests()) == 4


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("a date in 300 s", 1, 300),
        ("99999999", 600, 600),
        ("-5", 0, 0),
        ("soon", 0, 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    ],
)
async def test_it_waits_as_long_as_the_server_asks(server: ContestServer, said: str, least: float, most: float) -> None:
    if said == "a date in 300 s":
        said = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    server.turns.append(Turn(status=503, headers={"Retry-After": said}))
    async with client_of(NOBODY, 10, 10) as client:
        with pytest.raises(Refused) as refused:
            async with answer_to(client, f"{server.url}/event-feed"):
                pass
    assert least <= refused.value.retry_after_s <= most
    feed = HttpFeed(server.url, NOBODY, QUICK)
    assert feed._pause_after(refused.value, resumed=False) >= least


async def test_pauses_grow_to_a_limit_and_differ() -> None:
    feed = HttpFeed("http://127.0.0.1:1", NOBODY, replace(QUICK, pause_min_s=1, pause_max_s=8))
    pauses = [feed._pause_after(Refused("no"), resumed=False) for _ in range(40)]
    assert all(low / 2 <= pause <= low for low, pause in zip([1, 2, 4, 8], pauses, strict=False))
    assert all(4 <= pause <= 8 for pause in pauses[3:])
    assert len(set(pauses)) == 40


async def test_a_server_that_is_restarted_is_found_again() -> None:
    first, second = ContestServer(LINES), ContestServer(LINES)
    async with first.serving():
        running = following(first.url)
        follower = await running.__aenter__()
        await follower.until_whole()
    await follower.until(lambda: follower.feed.counts["lost"] > 2, "attempts in vain")
    async with second.serving(first.port):
        await follower.until(lambda: follower.connections() == [True, False], "a connection to the new one")
        await running.__aexit__(None, None, None)


async def test_a_line_that_is_none_comes_from_a_server_that_failed_in_the_middle(server: ContestServer) -> None:
    bad = b"<br /><b>Fatal error</b>: Uncaught"
    server.turns.append(Turn(reordered=lambda lines: [*lines[:5], bad, *lines[5:]]))
    async with following(server.url) as follower:
        await follower.until_whole()
    assert follower.connections() == [True, True]
    assert bad not in follower.texts()


async def test_a_line_that_is_none_each_time_ends_it(server: ContestServer) -> None:
    server.turns += [Turn(reordered=lambda lines: [*lines[:5], b'{"type": "teams", "da', *lines[5:]])] * 3
    async with following(server.url) as follower:
        with pytest.raises(FeedError, match=r'not a line of a CLICS event feed: {"type": "teams", "da'):
            await follower.until_whole()
    assert follower.connections() == [True] * 3


async def test_a_login_is_sent_and_never_shown(
    server: ContestServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    server.login("jury", SECRET)
    structlog.reset_defaults()
    with caplog.at_level(logging.DEBUG):
        async with following(server.url, LOGIN) as follower:
            await follower.until_whole()
            server.login("jury", "changed")
            await server.cut()
            await follower.until(lambda: follower.feed.counts["lost"] > 2, "refusals")
        wrong = ContestLogin(clics_token=SecretStr("t0k3n"))
        with pytest.raises(FeedError, match="HTTP 401; correct CLICS_USERNAME and CLICS_PASSWORD, or CLICS_TOKEN"):
            await first_pieces(HttpFeed(server.url, wrong, QUICK))
    shown = f"{caplog.text} {capfd.readouterr()} {vars(follower.feed)}"
    authorizations = {one.headers["authorization"] for one in server.requests}
    assert "Bearer t0k3n" in authorizations
    assert all(one not in shown for one in (SECRET, "t0k3n", *(one.split()[1] for one in authorizations)))
    assert "HTTP 401" in shown


async def test_a_redirect_is_followed_and_a_login_goes_to_no_other_origin(server: ContestServer) -> None:
    async with ContestServer(LINES).serving() as other:
        server.turns.append(Turn(status=302, headers={"Location": f"{other.url}/event-feed"}))
        async with following(server.url, LOGIN) as follower:
            await follower.until_whole()
        assert "authorization" not in other.requests[0].headers
        assert all("authorization" in one.headers for one in server.requests)
    server.turns.append(Turn(status=307, headers={"Location": f"{server.url}/event-feed"}))
    server.requests.clear()
    async with following(server.url, LOGIN) as follower:
        await follower.until_whole()
    assert all("authorization" in one.headers for one in server.requests)


async def test_an_api_with_one_contest_needs_no_id(server: ContestServer) -> None:
    async with following(server.base) as follower:
        await follower.until_whole()
    assert follower.feed.place.url == server.url


@pytest.mark.parametrize(
    ("contests", "said"),
    [
        ([], "has no contest that may be seen"),
        (["demo", "finals"], "has several contests; write one of them as .*: demo, finals"),
        ([f"c{number}" for number in range(1_000)], "has several contests.*c9$"),
    ],
)
async def test_an_api_with_other_contests_asks_for_one(server: ContestServer, contests: list[str], said: str) -> None:
    server.contests = contests
    with pytest.raises(FeedError, match=said):
        await first_pieces(HttpFeed(server.base, NOBODY, QUICK))
    with pytest.raises(FeedError, match="is neither a contest nor a contest API; write https://HOST/api/contests/ID"):
        await first_pieces(HttpFeed(server.base.removesuffix("/api"), NOBODY, QUICK))


async def test_a_connection_on_which_nothing_comes_is_given_up(server: ContestServer) -> None:
    async with following(server.url, patience=replace(QUICK, dead_after_s=0.3)) as follower:
        await follower.until(lambda: follower.connections()[:3] == [True, False, False], "new connections")
        assert follower.feed.counts["lost"] >= 2


async def test_a_certificate_is_verified_with_the_authority_that_is_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = ContestServer(LINES)
    server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server.tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with server.serving():
        async with following(server.url, ContestLogin(clics_ca_file=tmp_path / "ca.pem")) as follower:
            await follower.until_whole()
        with pytest.raises(FeedError, match="its certificate cannot be verified; name its authority's certificate"):
            await first_pieces(HttpFeed(server.url, NOBODY, QUICK))


async def test_a_consumer_that_stops_leaves_nothing_open(server: ContestServer) -> None:
    before = asyncio.all_tasks()
    async with following(server.url) as follower:
        await follower.until_whole()
    assert {one for one in asyncio.all_tasks() - before if "http" in repr(one.get_coro())} == set()
