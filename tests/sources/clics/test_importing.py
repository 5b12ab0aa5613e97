"""The command `import clics`: a feed is all of its contest, whatever was imported before and wherever from."""

import asyncio
import json
import random
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from solve_projector.replay.replaying import ReplayOptions, replay
from solve_schemas.events import SubmissionRevoked, SubmissionSolved, UserRegistered, UserRemoved
from solve_sources.reconciliation import reconciling
from tests.sources.clics.feeds import TYPES, contest, judged, line, written
from tests.sources.clics.imports import imported
from tests.sources.clics.made_feed import made_feed
from tests.sources.clics.scoreboard import solved_pairs
from tests.sources.commands import Ended, counts, solve_producer
from tests.waiting import until
from tests.world import World

FIRST = [*contest("t1", "t2"), *judged("s1", "t1", "a"), *judged("s2", "t2", "a"), *judged("s3", "t1", "b")]


@pytest.fixture
def importing(world: World):  # type: ignore[no-untyped-def]
    """Imports a feed of these lines, in this process; returns how many events were published, and taken back."""
    return partial(imported, world)


@pytest.fixture
def command(world: World, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Imports a feed of these lines, by the command."""

    async def run(lines: list[dict[str, Any]], *words: str) -> Ended:
        return await solve_producer(world, "import", "clics", written(tmp_path / "feed.ndjson", lines), *words)

    return run


async def test_what_a_later_feed_does_not_say_is_taken_back_whether_or_not_it_was_applied(
    world: World, importing
) -> None:  # type: ignore[no-untyped-def]
    later = [*contest("t1", "t2"), *judged("s1", "t1", "a", "WA"), *judged("s4", "t2", "c")]
    for project in (world.run_once, asyncio.sleep):
        await importing(FIRST)
        await project(*([0] if project is asyncio.sleep else []))
        assert (await importing(later)).taken_back == 3
        assert await counts(world) == {"cup:t2": 1}
        report = await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)
        assert report.users_updated == 0


async def test_the_same_feed_again_publishes_nothing(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    assert [(await importing(FIRST)).total for _ in range(2)] == [5, 0]
    assert await counts(world) == {"cup:t1": 2, "cup:t2": 1}


async def test_what_was_taken_back_comes_back_with_its_own_time_of_submission(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    for lines in (FIRST, contest("t1", "t2"), FIRST):
        await importing(lines)
    assert await counts(world) == {"cup:t1": 2, "cup:t2": 1}
    assert await world.value("SELECT max(solved_at)::text FROM solves") == "2026-05-02 09:10:00+00"


async def test_only_what_came_from_the_same_source_and_contest_is_taken_back(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    await importing(FIRST)
    other = [*contest("t1", "t2", id="cup:2"), *judged("s1", "t1", "a")]
    await importing(other, source="/clics/cup")
    time = "2026-05-02T09:30:00Z"
    live = {"submission_id": "cup:live", "user_id": "cup:t2", "problem_id": "cup:d", "judged_at": time}
    await world.publish([SubmissionSolved.model_validate_json(json.dumps(live))])
    await importing([*contest("t1", "t2"), *judged("x", "t1", "e")], source="another")
    assert await counts(world) == {"cup:t1": 3, "cup:t2": 2, "cup:2:t1": 1}
    await importing(contest("t1", "t2"))
    assert await counts(world) == {"cup:t1": 1, "cup:t2": 1, "cup:2:t1": 1}


async def test_parked_events_are_taken_back_too(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    nameless = [one for one in FIRST if one["type"] != "teams"]
    await importing(nameless)
    await world.run_once()
    assert await world.value("SELECT count(*) FROM parked_events WHERE solved") == 3
    await importing([*contest("t1", "t2"), *judged("s1", "t1", "a")])
    assert await counts(world) == {"cup:t1": 1}


async def test_a_partial_feed_takes_back_only_what_it_names(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    await importing(FIRST)
    await importing([line("contest", None, {"id": "cup"}), *judged("s1", "t1", "a", "WA")], whole=False)
    assert await counts(world) == {"cup:t1": 1, "cup:t2": 1}


async def test_whatever_was_imported_before_the_counts_are_those_of_the_last_feed(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    chance = random.Random(16)
    feed = made_feed(2, submissions=60)
    for _ in range(8):
        seen = feed[: chance.randrange(4, len(feed))]
        await importing([json.loads(text) for text in seen])
        if chance.random() < 0.6:
            expected = Counter(f"made:{team}" for team, _ in solved_pairs(seen))
            assert await counts(world) == expected
    assert not (await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)).drifted


async def test_a_submission_that_moves_to_another_team_leaves_the_first(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    await importing(FIRST)
    await importing([*contest("t1", "t2"), *judged("s1", "t2", "b"), *judged("s2", "t2", "a")])
    assert await counts(world) == {"cup:t2": 2}


async def test_more_than_a_tenth_is_taken_back_only_after_a_yes(world: World, command) -> None:  # type: ignore[no-untyped-def]
    many = [*contest(*(f"t{n}" for n in range(12)))]
    for number in range(60):
        many += judged(f"s{number}", f"t{number % 12}", "abcde"[number // 12])
    assert (await command(many)).status == 0
    few = many[: -2 * 30]
    refused = await command(few)
    assert (refused.status, refused.stdout) == (1, "")
    assert "30 of the 60 solves counted from /clics/cup would be taken back" in refused.stderr
    assert sum((await counts(world)).values()) == 60
    shown = await command(few, "--dry-run")
    revoked = [json.loads(one) for one in shown.stdout.splitlines()]
    assert {one["type"] for one in revoked} == {SubmissionRevoked.type_name}
    assert len(revoked) == 30
    assert shown.status == 1
    assert "would be published 30 events: 0 registrations, 0 solved\nwould be taken back: 30\n" in shown.stderr
    assert "30 of the 60 solves counted from /clics/cup would be taken back" in shown.stderr
    agreed = await command(few, "--dry-run", "--yes", "--json")
    assert (agreed.status, len(agreed.stdout.splitlines())) == (0, 30)
    assert json.loads(agreed.stderr.splitlines()[-1])["taken_back"] == 30
    assert sum((await counts(world)).values()) == 60
    assert (await command(few, "--yes")).status == 0
    assert sum((await counts(world)).values()) == 30


async def test_what_is_taken_back_is_counted_once_before_the_question(world: World, command) -> None:  # type: ignore[no-untyped-def]
    many = [one for number in range(10) for one in judged(f"s{number}", "t1", f"p{number}")]
    team = [one for one in contest("t1") if one["type"] != "problems"]
    assert (await command([*team, *many])).status == 0
    wrong = [one for number in range(10) for one in judged(f"s{number}", "t1", f"p{number}", "WA")]
    shown = await command([*team, *wrong], "--dry-run")
    assert len(shown.stdout.splitlines()) == 10
    done = await command([*team, *wrong])
    assert (done.status, done.stdout.splitlines()[-1]) == (0, "taken back: 10"), done.stderr


@pytest.mark.parametrize("kept", [0, 10_000])
async def test_few_are_taken_back_unasked_however_much_is_new(
    world: World, importing, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(reconciling, "KEPT", kept)
    teams = contest(*(f"t{number}" for number in range(12)))
    solves = [judged(f"s{number}", f"t{number % 12}", "abcde"[number // 12]) for number in range(60)]
    for chosen, expected in ((solves[:30], (42, 0)), (solves[2:], (30, 2)), (solves[2:], (0, 0))):
        done = await importing([*teams, *(one for solve in chosen for one in solve)], agreed=False)
        assert (done.registered + done.solved, done.taken_back) == expected
    assert sum((await counts(world)).values()) == 58


async def test_a_hidden_team_is_unlisted_and_listed_again(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    hidden = line("teams", "t2", {"id": "t2", "name": "Team t2", "hidden": True})
    for lines, expected in (
        (FIRST, {"cup:t1": 2, "cup:t2": 1}),
        ([*FIRST, hidden], {"cup:t1": 2}),
        (FIRST, {"cup:t1": 2, "cup:t2": 1}),
    ):
        await importing(lines)
        assert await counts(world) == expected


async def test_an_import_undoes_no_removal(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    time = "2026-05-03T09:00:00Z"
    early = "2026-05-01T09:00:00Z"  # before the contest began
    await world.publish(
        [
            UserRemoved.model_validate_json(json.dumps({"user_id": "cup:t1", "removed_at": time})),
            UserRemoved.model_validate_json(json.dumps({"user_id": "cup:t2", "removed_at": early})),
        ]
    )
    renamed = [line("teams", team, {"id": team, "name": "New"}) for team in ("t1", "t2")]
    for lines in (FIRST, [*FIRST, *renamed]):
        await importing(lines)
        assert await counts(world) == {}
    assert await world.value("SELECT count(*) FROM parked_events") == 0
    back = {"user_id": "cup:t1", "username": "New", "registered_at": "2026-05-04T09:00:00Z"}
    await world.publish([UserRegistered.model_validate_json(json.dumps(back))])
    assert await counts(world) == {"cup:t1": 2}


async def test_a_freeze_holds_what_was_handed_in_since(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    frozen = line("state", None, {"frozen": "2026-05-02T10:30:00Z", "thawed": None})
    thawed = line("state", None, {"frozen": "2026-05-02T10:30:00Z", "thawed": "2026-05-02T11:10:00Z"})
    late = [*judged("s8", "t2", "c", minute=95), *judged("s9", "t2", "d", minute=96)]
    open_view = [*FIRST, *judged("s8", "t2", "c", minute=95)]
    await importing(open_view)
    assert await counts(world) == {"cup:t1": 2, "cup:t2": 2}
    # neither the new one is added nor the old one taken back, missing or named; before the freeze the feed is followed
    gone = [*judged("s8", "t2", "c", minute=95), line("submissions", "s8", None)]
    for since in ([], late, judged("s8", "t2", "c", "WA", minute=95), gone):
        before = [one for one in FIRST if one["id"] not in ("s3", "j-s3")]
        await importing([*before, *since, frozen], hold_frozen=True)
        assert await counts(world) == {"cup:t1": 1, "cup:t2": 2}
    await importing([*FIRST, *late, thawed], hold_frozen=True)
    assert await counts(world) == {"cup:t1": 2, "cup:t2": 3}


async def test_two_imports_of_one_contest_at_once_are_one_after_the_other(world: World, command) -> None:  # type: ignore[no-untyped-def]
    async with world.database() as connection:
        await connection.execute("SELECT pg_advisory_lock(hashtextextended('solve-counts source /clics/cup', 16))")
        refused = await command(FIRST)
        assert (refused.status, refused.stdout) == (1, "")
        assert "another import of /clics/cup is running" in refused.stderr
    assert (await command(FIRST)).status == 0


async def test_standard_input_is_followed_as_it_comes(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "import", "clics", "-", "--json",
        env=world.environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None

    async def say(*lines: dict[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write("".join(json.dumps(one) + "\n" for one in lines).encode())
        await process.stdin.drain()

    async def shown(expected: dict[str, int]) -> None:
        async def right() -> bool:
            return await counts(world) == expected

        await until(right, f"the counts to be {expected}")

    await say(*FIRST)
    await shown({"cup:t1": 2, "cup:t2": 1})
    await say(*judged("s3", "t1", "b", "WA"))
    await shown({"cup:t1": 1, "cup:t2": 1})
    await say(line("submissions", "s2", None))
    await shown({"cup:t1": 1})
    process.stdin.close()
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    assert json.loads(out)["submissions"] == 2


HEAD = [line("contest", None, {"id": "cup"}), line("judgement-types", None, TYPES)]


def rejudged(submission: str, verdict: str, minute: int, **more: Any) -> dict[str, Any]:
    """A judgement of its own id."""
    end = f"2026-05-02T09:{minute:02}:30Z"
    said = {"submission_id": submission, "judgement_type_id": verdict, "start_time": end, "end_time": end}
    return line("judgements", f"j7-{submission}", {"id": f"j7-{submission}", **said, **more})


async def test_a_partial_feed_takes_back_what_was_rejudged_though_it_has_no_submission(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    await importing(FIRST)
    done = await importing([*HEAD, rejudged("s2", "WA", 30), rejudged("s1", "AC", 30)], whole=False)
    assert (done.taken_back, done.solved) == (1, 0)
    assert await counts(world) == {"cup:t1": 2}


async def test_what_a_partial_feed_leaves_undecided_is_counted_with_what_to_do(world: World, command) -> None:  # type: ignore[no-untyped-def]
    assert (await command(FIRST)).status == 0
    whose = rejudged("s9", "AC", 30)
    whether_later = rejudged("s2", "WA", 1)
    whether_another_stands = rejudged("s1", "AC", 30, valid=False)
    of_what = line("judgements", "j-s3", None)
    done = await command([*HEAD, whose, whether_later, whether_another_stands, of_what], "--partial")
    assert done.status == 1
    assert "undecided judgements: 4; their submissions are not in the feed" in done.stdout
    assert "or the whole feed" in done.stdout
    assert await counts(world) == {"cup:t1": 2, "cup:t2": 1}


async def test_a_partial_feed_takes_back_what_it_says_is_gone(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    for gone, left in (
        ([line("problems", "a", None)], {"cup:t1": 1}),
        ([line("teams", "t2", None)], {"cup:t1": 2}),
        ([line("problems", None, [{"id": "a"}])], {"cup:t1": 1, "cup:t2": 1}),
        ([line("teams", None, [{"id": "t2", "name": "Team t2"}])], {"cup:t2": 1}),
        ([line("submissions", None, [])], {}),
        ([line("judgements", None, [rejudged("s2", "AC", 30)["data"]])], {"cup:t2": 1}),
        ([line("contest", None, None)], {}),
        ([line("teams", "t2", None), rejudged("s2", "AC", 30)], {"cup:t1": 2}),
        ([line("problems", "a", None), judged("s1", "t1", "a")[0]], {"cup:t1": 1}),
    ):
        await importing(FIRST)
        await importing([*HEAD, *gone], whole=False)
        assert await counts(world) == left, gone
        assert (await importing([*HEAD, *gone], whole=False)).total == 0
