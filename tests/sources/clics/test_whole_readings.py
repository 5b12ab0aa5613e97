"""The live feed over HTTP: when a reading is whole, whatever was listed, hidden, doubled or out of order."""

import asyncio
import random
from dataclasses import replace

import pytest

from solve_sources.clics.http_feed import Quiet
from tests.sources.clics.contest_answer import Turn
from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.follower import LINES, QUICK, following, line, listings

ALL = sum(len(one) + 1 for one in LINES)


async def test_duplicates_and_disorder_come_as_they_are_and_are_whole_once_each_object_came(
    server: ContestServer,
) -> None:
    latest = [one for one in LINES if b"null}" not in one or b"state" in one]
    shuffled = random.Random(1).sample(latest * 3, len(latest) * 3)
    server.turns.append(Turn(reordered=lambda _: shuffled))
    async with following(server.url) as follower:
        await follower.until_whole()
    assert follower.truths == [server.state()]
    assert follower.texts() == shuffled


async def test_what_was_listed_and_not_yet_sent_is_waited_for(server: ContestServer) -> None:
    server.upto, server.listed_upto = 7, 11
    async with following(server.url, patience=replace(QUICK, list_again_s=300)) as follower:
        await follower.until(lambda: follower.of([Quiet]), "a pause")
        await server.publish(2)
        await server.keep_alive()
        await follower.until(lambda: len(follower.texts()) == 9, "the lines")
        await follower.until(lambda: isinstance(follower.pieces[-1], Quiet), "the pause")
        assert not follower.truths
        await server.publish(2)
        await follower.until_whole()
    assert follower.connections() == [True]
    assert follower.truths == [server.state()]


async def test_what_was_listed_and_deleted_before_it_was_sent_is_listed_again(server: ContestServer) -> None:
    server.lines.append(line("judgements", "j3", None, "gone"))
    server.turns.append(Turn(reordered=lambda lines: [one for one in lines if b"j3" not in one]))
    async with following(server.url) as follower:
        await follower.until(lambda: follower.of([Quiet]), "a pause")
        assert not follower.truths
        server.upto += 1
        while not follower.truths:
            await server.keep_alive()
            await asyncio.sleep(0)
    assert follower.connections() == [True]
    assert follower.truths[0]["judgements"] == server.state()["judgements"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_hidden_judgements_prove_nothing(server: ContestServer, status: int) -> None:
    server.hidden["judgements"] = status
    without = [one for one in LINES if b"judgements" not in one]
    server.turns.append(Turn(reordered=lambda _: without))
    async with following(server.url) as follower:
        await follower.until(lambda: len(follower.texts()) == len(without), "all lines")
        for _ in range(3):
            await server.keep_alive()
        await follower.until(lambda: len(follower.of([Quiet])) >= 3, "several pauses")
        assert not follower.truths
        await server.cut()
        await follower.until_whole()  # now with judgements in the feed itself
    assert follower.truths == [server.state()]


async def test_the_end_of_a_response_is_no_pause_where_the_collections_are_hidden(server: ContestServer) -> None:
    server.hidden = {"submissions": 403, "judgements": 403}
    server.turns.append(Turn(then="end", cut_at=ALL // 2))
    async with following(server.url) as follower:
        await follower.until_whole()
    assert follower.truths == [server.state()]
    assert follower.connections() == [True, True]


async def test_collections_that_fail_put_the_whole_off(server: ContestServer) -> None:
    server.hidden["submissions"] = 500
    async with following(server.url) as follower:
        await follower.until(lambda: follower.of([Quiet]), "a pause")
        assert not follower.truths
        server.hidden.clear()
        await server.keep_alive()
        await follower.until(lambda: len(listings(server)) > 1, "another listing")
        await server.keep_alive()
        await follower.until_whole()
    assert follower.connections() == [True]
