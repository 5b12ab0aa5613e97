"""The live feed over HTTP: whatever network and server do, every line comes, and only a whole reading is whole."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from solve_sources.clics.http_feed import TYPES, Connected, Ended, HttpFeed, Line, Piece, Quiet, Whole
from solve_sources.errors import FeedError
from tests.sources.clics.contest_answer import Turn
from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.follower import LINES, NOBODY, QUICK, feed_lines, following, line, listings

OLD = [
    json.dumps(
        {"type": one["type"], "id": f"e{place}", "op": "create", "data": {"id": one["id"] or "demo"} | one["data"]}
    )
    .replace('"type": "contest"', '"type": "contests"')
    .encode()
    for place, one in enumerate(map(json.loads, LINES))
]
ALL = sum(len(one) + 1 for one in LINES)


async def test_a_feed_is_whole_at_its_first_pause_and_then_followed_as_it_grows(server: ContestServer) -> None:
    server.upto = 8
    async with following(server.url) as follower:
        await follower.until_whole()
        assert follower.truths == [server.state()]
        await server.publish()
        await follower.until(lambda: follower.texts() == LINES[:9], "the next line")
        await follower.until(lambda: isinstance(follower.pieces[-1], Quiet), "a pause after it")
        assert follower.connections() == [True]
        assert len(follower.truths) == 1


async def test_a_feed_that_is_never_quiet_has_moments_to_publish_once_it_is_whole(server: ContestServer) -> None:
    server.upto = 8
    async with following(server.url, patience=replace(QUICK, settle_every_s=0)) as follower:
        await follower.until_whole()
        before = len(follower.pieces)
        await server.publish(4)
        await follower.until(lambda: follower.texts() == LINES[:12], "the next lines")
        await follower.until(lambda: isinstance(follower.pieces[-1], Quiet), "a moment after them")
    kinds = [type(one) for one in follower.pieces]
    assert kinds[before : before + 8] == [Line, Quiet] * 4
    assert kinds[:10] == [Connected, *[Line] * 8, Quiet]


async def test_a_keep_alive_is_a_pause_however_short_the_silence(server: ContestServer) -> None:
    async with following(server.url, patience=replace(QUICK, settle_after_s=30, whole_after_s=60)) as follower:
        await follower.until(lambda: follower.texts() == LINES, "all lines")
        assert not follower.of([Quiet, Whole])
        await server.keep_alive()
        await follower.until_whole()
        assert [type(one) for one in follower.pieces[-2:]] == [Quiet, Whole]


async def test_a_server_that_can_end_the_response_is_asked_to_and_then_followed_from_the_last_token(
    server: ContestServer,
) -> None:
    server.ends_when_asked, server.upto = True, 9
    async with following(server.url, patience=replace(QUICK, whole_after_s=60)) as follower:
        await follower.until_whole()
        await follower.until(lambda: len(server.feed_requests()) == 2, "the second connection")
        await server.publish()
        await follower.until(lambda: follower.texts() == LINES[:10], "the next line")
    assert server.feed_requests() == [
        {"types": TYPES, "stream": "false"},
        {"types": TYPES, "stream": "true", "since_token": "c&d<8"},
    ]
    assert follower.connections() == [True, False]


@pytest.mark.parametrize("lines", [LINES, OLD], ids=["since_token", "since_id"])
async def test_after_a_cut_in_the_middle_of_a_line_the_line_comes_again(lines: list[bytes]) -> None:
    async with ContestServer(lines, 8).serving() as server, following(server.url) as follower:
        await follower.until_whole()
        for times in (2, 3, 4):
            await server.cut()
            await follower.until(lambda times=times: len(follower.connections()) == times, "a connection more")
            await server.publish()
            await follower.until(lambda: follower.texts() == lines[: server.upto], "the line that was cut")
    assert follower.connections() == [True, False, False, False]
    assert follower.feed.counts["lost"] == 3
    assert server.feed_requests()[1].keys() & {"since_token", "since_id"}


@pytest.mark.parametrize("cut_at", [0, 1, 200, 500, ALL // 2, ALL - 1])
@pytest.mark.parametrize("then", ["cut", "end"])
async def test_a_reading_that_ends_before_all_was_sent_is_not_whole(
    server: ContestServer, cut_at: int, then: str
) -> None:
    server.turns += [Turn(cut_at=cut_at, then=then), Turn(cut_at=cut_at, then="cut")]
    async with following(server.url) as follower:
        await follower.until_whole()
    complete = then == "end" and cut_at == ALL - 1  # only the last newline is missing
    assert follower.truths == [server.state()]
    assert follower.connections()[:3] in ([[True], [True, False]] if complete else [[True] * 3])
    assert all(one in LINES for one in follower.texts())


async def test_without_tokens_every_connection_is_whole() -> None:
    async with ContestServer(feed_lines(tokens=False)).serving() as server, following(server.url) as follower:
        for times in (1, 2, 3):
            await follower.until_whole(times)
            await server.cut()
    assert follower.connections()[:3] == [True, True, True]
    assert not any({"since_token", "since_id"} & query.keys() for query in server.feed_requests())


async def test_a_static_file_is_read_again_at_growing_intervals() -> None:
    lines = feed_lines(tokens=False)
    async with ContestServer(lines).serving() as server:
        server.turns += [Turn(then="end")] * 3
        async with following(server.url) as follower:
            await follower.until_whole(3)
        assert follower.truths == [server.state()] * 3
        assert follower.feed.counts["closed"] >= 2


async def test_where_only_some_lines_have_a_token_it_goes_on_from_the_last_of_them() -> None:
    lines = [one if place == 5 else line(**_without_token(one)) for place, one in enumerate(LINES)]
    async with ContestServer(lines).serving() as server, following(server.url) as follower:
        await follower.until_whole()
        await server.cut()
        await follower.until(lambda: len(follower.texts()) == len(lines) + len(lines) - 6, "the rest again")
        assert server.feed_requests()[-1]["since_token"] == "c&d<5"
        assert follower.state == server.state()


def _without_token(text: bytes) -> dict[str, Any]:
    said = json.loads(text)
    return {"kind": said["type"], "object_id": said["id"], "data": said["data"]}


@pytest.mark.parametrize("refusals", [[400], [500] * 5], ids=["400", "five times 500"])
async def test_a_token_that_the_server_no_longer_takes_leads_to_a_whole_reading(
    server: ContestServer, refusals: list[int]
) -> None:
    with capture_logs() as logs:
        async with following(server.url) as follower:
            await follower.until_whole()
            server.lines = server.lines[:4] + server.lines[7:]  # another history: one submission is gone
            server.upto = len(server.lines)
            server.turns += [Turn(status=status) for status in refusals]
            await server.cut()
            await follower.until_whole(2)
    (reason,) = (one["reason"] for one in logs if one["action"] == "feed_token_unknown")
    assert f"/event-feed answers HTTP {refusals[0]} to the last token" in reason
    assert "no contest API" not in reason
    assert follower.truths[1] == server.state()
    assert follower.connections() == [True, True]
    assert follower.feed.counts["token_unknown"] == 1


async def test_where_nothing_was_ever_read_the_url_that_was_asked_is_named_once(server: ContestServer) -> None:
    server.turns += [Turn(status=503)] * 3
    with capture_logs() as logs:
        async with following(server.url) as follower:
            await follower.until_whole()
            await server.cut()
            await follower.until(lambda: len(follower.connections()) == 2, "another connection")
    assert len([one for one in logs if one["action"] == "feed_lost"]) == 4
    (warning,) = (one for one in logs if one["action"] == "feed_never_read")
    assert warning["asked"] == f"{server.url}/event-feed"
    assert "a wrong URL gives the same" in warning["event"]


async def test_a_server_that_forgot_the_token_is_read_from_the_beginning(server: ContestServer) -> None:
    async with following(server.url) as follower:
        await follower.until_whole()
        server.forgotten = len(LINES)
        await server.cut()
        await follower.until_whole(2)
    assert follower.connections() == [True, True]


async def test_it_ends_with_the_contest() -> None:
    over = line("state", None, {"started": "2024-01-01T10:00:00Z", "end_of_updates": "2024-01-01T16:00:00Z"}, "last")
    async with ContestServer([over, *LINES[1:], over], len(LINES)).serving() as server:
        async with following(server.url) as follower:  # the state may come first: it is not the end
            await follower.until(follower.task.done, "the end")
            follower.task.result()
        assert follower.truths == [server.state()]
        assert isinstance(follower.pieces[-1], Ended)
        server.listed_upto, server.upto = len(LINES), len(LINES) - 4
        async with following(server.url) as follower:
            await follower.until(lambda: len(listings(server)) > 2, "a pause, and another listing")
            pauses = len(follower.of([Quiet]))
            await server.keep_alive()
            await follower.until(lambda: len(follower.of([Quiet, Ended])) > pauses, "the next pause")
            assert not follower.of([Ended])
        server.listed_upto, server.upto = None, len(LINES)
        server.lines[0] = LINES[0]
        async with following(server.url) as follower:
            await follower.until_whole()
            await server.publish()
            await follower.until(follower.task.done, "the end")
        assert isinstance(follower.pieces[-1], Ended)
        assert not [one for one in follower.pieces[:-1] if isinstance(one, Ended)]


async def test_starting_over_reads_everything_again(server: ContestServer) -> None:
    async with following(server.url) as follower:
        await follower.until_whole()
        follower.feed.start_over()
        await server.keep_alive()
        await follower.until_whole(2)
    assert follower.connections() == [True, True]


async def test_a_server_without_our_options_is_asked_without_them(server: ContestServer) -> None:
    server.turns.append(Turn(status=400))
    async with following(server.url) as follower:
        await follower.until_whole()
        await server.cut()
        await follower.until(lambda: len(server.feed_requests()) == 3, "a third connection")
    assert server.feed_requests()[1:] == [{}, {"since_token": f"c&d<{len(LINES) - 1}"}]


@pytest.mark.parametrize("turn", [Turn(piece=1), Turn(gzipped=True, piece=7)], ids=["byte by byte", "gzip"])
async def test_bytes_may_come_as_they_like(server: ContestServer, turn: Turn) -> None:
    server.turns.append(turn)
    async with following(server.url) as follower:
        await follower.until_whole()
        assert follower.texts() == LINES
        assert follower.connections() == [True]
        server.turns.append(turn)
        await server.cut()
        await follower.until(lambda: follower.connections() == [True, False], "a connection from the token")


async def test_a_line_that_is_too_long_ends_it(server: ContestServer) -> None:
    server.lines.insert(5, line("teams", "t", {"id": "t", "name": "x" * 5_000}, "long"))
    async with following(server.url, patience=replace(QUICK, longest_line=4_000)) as follower:
        with pytest.raises(FeedError, match="a line of more than 4,000 bytes"):
            await follower.until_whole()
    assert follower.texts() == server.lines[:5]


async def test_the_form_of_2021_has_collections_in_a_line_and_no_tokens(server: ContestServer) -> None:
    said = [
        {"contest_id": "demo", "data": {"id": "demo"}},
        {"contest_id": "demo", "endpoint": "submissions", "id": None, "data": [{"id": str(one)} for one in range(4)]},
        {"contest_id": "demo", "endpoint": "judgements", "data": [{"id": f"j{one}"} for one in range(4)]},
    ]
    texts = [json.dumps(one).encode() for one in said]
    server.turns += [Turn(reordered=lambda _: texts)] * 2
    feed, found = HttpFeed(server.url, NOBODY, QUICK), []
    async with aclosing(feed.pieces()) as pieces:
        async for piece in pieces:
            found.append(piece)
            if isinstance(piece, Whole):
                await server.cut()
            if found.count(Whole()) == 2:
                break
    assert [one for one in found if not isinstance(one, Quiet)] == [
        Connected(whole=True), *map(Line, texts, said), Whole(),
    ] * 2  # fmt: skip


async def test_a_line_that_was_not_processed_comes_again(server: ContestServer) -> None:
    feed = HttpFeed(server.url, NOBODY, QUICK)
    async with aclosing(feed.pieces()) as pieces:
        async for piece in pieces:
            if isinstance(piece, Whole):
                break
        await server.cut()
        async for piece in pieces:
            if isinstance(piece, Connected):
                await server.publish(0)
                server.lines += feed_lines(6)[-6:]
                await server.publish(6)
            if isinstance(piece, Line):
                await server.cut()  # while this line is being processed, so that the next ones may be lost
                break
        found = [piece async for piece in _until(pieces, server.lines[-1])]
    assert [one.text for one in found if isinstance(one, Line)] == server.lines[-5:]


async def _until(pieces: AsyncIterator[Piece], text: bytes) -> AsyncIterator[Piece]:
    async for piece in pieces:
        yield piece
        if isinstance(piece, Line) and piece.text == text:
            return


async def test_the_world_finals_with_cuts_at_any_byte(wf47: Path) -> None:
    content = (wf47 / "event-feed.ndjson").read_bytes()
    lines = [one for one in content.splitlines() if json.loads(one)["type"] in TYPES.split(",")]
    chance = random.Random(47)
    size = sum(map(len, lines))
    async with ContestServer(lines, len(lines) // 2).serving() as server:
        server.turns += [Turn(cut_at=chance.randrange(size // 4), then=chance.choice(["cut", "end"])) for _ in range(4)]
        server.turns.append(Turn(gzipped=True, piece=5_000))
        async with following(server.url) as follower:
            await follower.until_whole()
            assert follower.truths == [server.state()]
            while server.upto < len(lines):
                await server.publish(chance.randrange(1, 1_500))
                if chance.random() < 0.5:
                    server.turns.append(Turn(cut_at=chance.randrange(20_000)))
                await server.cut()
                await follower.until(lambda: follower.texts()[-1:] == [lines[server.upto - 1]], "all of it")
                assert follower.state == server.state()
    assert set(follower.texts()) <= set(lines)
    assert follower.connections()[5:] == [False] * (len(follower.connections()) - 5)
