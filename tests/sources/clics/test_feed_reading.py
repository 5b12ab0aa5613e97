"""A live feed is whole once what its objects refer to is there, in every form of the specification."""

import json
from contextlib import aclosing
from typing import Any

import pytest

from solve_sources.clics.http_feed import Connected, HttpFeed, Piece, Quiet, Whole
from tests.sources.clics.contest_answer import Turn
from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.follower import NOBODY, QUICK, following


def in_the_form_of(version: str, said: list[tuple[str, list[dict[str, Any]]]]) -> list[bytes]:
    """Collections as a server of that version sends them: each object in a line, or all in one."""
    lines: list[dict[str, Any]] = []
    for kind, objects in said:
        if version == "2021-11 in bulk":
            lines.append({"contest_id": "demo", "endpoint": kind, "id": None, "data": objects})
        elif version == "2023-06 in bulk":
            lines.append({"type": kind, "id": None, "data": objects})
        elif version == "2021-11":
            lines += ({"contest_id": "demo", "endpoint": kind, "id": one["id"], "data": one} for one in objects)
        elif version == "2023-06":
            lines += ({"type": kind, "id": one["id"], "data": one} for one in objects)
        else:
            lines += ({"type": kind, "id": f"{kind} {one['id']}", "op": "create", "data": one} for one in objects)
    return [json.dumps(one).encode() for one in lines]


# what refers before what is referred to, as the specification allows
REFERRING: list[tuple[str, list[dict[str, Any]]]] = [
    ("judgements", [{"id": "j1", "submission_id": "1", "judgement_type_id": "OK"}]),
    ("submissions", [{"id": "1", "team_id": "t", "problem_id": "a"}]),
    ("judgement-types", [{"id": "OK", "solved": True}]),
    ("teams", [{"id": "t", "group_ids": ["g"]}, {"id": "idle"}]),
    ("groups", [{"id": "g"}]),
    ("problems", [{"id": "a"}]),
]
FORMS = ("2020-03", "2021-11", "2021-11 in bulk", "2023-06", "2023-06 in bulk")


def referring_server() -> ContestServer:
    return ContestServer(in_the_form_of("2023-06", REFERRING))


async def whole_after(server: ContestServer) -> list[Piece]:
    """What comes until a reading is whole."""
    found: list[Piece] = []
    async with server.serving(), aclosing(HttpFeed(server.url, NOBODY, QUICK).pieces()) as pieces:
        async for piece in pieces:
            found.append(piece)
            if isinstance(piece, Whole):
                break
    return found


@pytest.mark.parametrize("version", FORMS)
async def test_a_reading_without_what_its_objects_refer_to_is_not_whole(version: str) -> None:
    server = referring_server()
    for upto in range(1, len(REFERRING) + 1):
        sent = in_the_form_of(version, REFERRING[:upto])
        server.turns.append(Turn(reordered=lambda _, sent=sent: sent, then="end"))  # type: ignore[misc]
    found = await whole_after(server)
    assert found.count(Connected(whole=True)) == len(REFERRING)


async def test_what_it_refers_to_is_waited_for_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    server = referring_server()
    server.listed_upto, server.upto = len(server.lines), 2
    async with server.serving(), following(server.url) as follower:
        while server.upto < len(server.lines):
            pauses = len(follower.of([Quiet]))
            await server.keep_alive()
            await follower.until(lambda pauses=pauses: len(follower.of([Quiet])) > pauses, "a pause")  # type: ignore[misc]
            assert not follower.truths
            await server.publish()
        await server.keep_alive()
        await follower.until_whole()
    assert follower.connections() == [True]
    said = capfd.readouterr()
    assert "it refers to problems that it has not sent: a" in said.out + said.err


async def test_what_nothing_refers_to_or_does_not_exist_is_not_waited_for() -> None:
    without = [(kind, [one for one in objects if one["id"] != "idle"]) for kind, objects in REFERRING]
    for there, sent in ((REFERRING, without), (without[:-1], without[:-1])):
        server = ContestServer(in_the_form_of("2023-06", there))
        lines = in_the_form_of("2023-06", sent)
        server.turns.append(Turn(reordered=lambda _, lines=lines: lines))  # type: ignore[misc]
        assert [one for one in await whole_after(server) if isinstance(one, Connected)] == [Connected(whole=True)]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_hidden_collection_is_waited_for_only_where_the_feed_has_some_of_it(status: int) -> None:
    server = referring_server()
    server.hidden = {"problems": status, "groups": status}
    none, some = (in_the_form_of("2023-06", [*REFERRING[:4], ("problems", one)]) for one in ([], [{"id": "b"}]))
    server.turns += [Turn(reordered=lambda _: some, then="end"), Turn(reordered=lambda _: none, then="end")]
    assert (await whole_after(server)).count(Connected(whole=True)) == 2
    over = json.dumps({"type": "state", "id": None, "data": {"end_of_updates": "2024-01-01T16:00:00Z"}}).encode()
    server.turns.append(Turn(reordered=lambda _: [*some, over], then="end"))
    assert (await whole_after(server)).count(Connected(whole=True)) == 1
