"""The command `import standings`: standings are all of their contest, and frozen results are hidden, not lost."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.commands import Ended, counts, solve_producer
from tests.sources.ranklists.test_codeforces import cell, party, row, table
from tests.sources.ranklists.test_srk import RANKLIST
from tests.world import World

SOLVED = {"result": "AC", "time": [280, "min"]}


@pytest.fixture
def importing(world: World, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Imports standings that say this."""

    async def run(said: Any, *words: str) -> Ended:
        file = tmp_path / "standings.json"
        file.write_text(json.dumps(said))
        return await solve_producer(world, "import", "standings", str(file), *words)

    return run


def ranklist(**cells: dict[str, Any]) -> dict[str, Any]:
    """The first two rows, with some cells changed: `a0` is the first row's first."""
    said = copy.deepcopy(RANKLIST)
    said["rows"] = said["rows"][:2]
    for place, status in cells.items():
        said["rows"]["ab".index(place[0])]["statuses"][int(place[1])] = status
    return said


async def test_what_later_standings_do_not_say_is_taken_back(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    first = await importing(ranklist(), "--contest-id", "demo", "--json")
    assert first.status == 0, first.stderr
    assert json.loads(first.stdout)["published"] == 5
    assert await counts(world) == {"demo:t1": 2}  # t2 is unofficial
    again = await importing(ranklist(), "--contest-id", "demo", "--json")
    assert json.loads(again.stdout)["published"] == 0
    rejudged = await importing(ranklist(a0={"result": "RJ"}, b0=SOLVED), "--contest-id", "demo")
    assert rejudged.stdout.splitlines()[-1] == "taken back: 1", rejudged
    assert await counts(world) == {"demo:t1": 1}
    assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'demo:t2'") == 2
    shown = await importing(ranklist(), "--contest-id", "demo", "--dry-run")
    assert [json.loads(line)["type"] for line in shown.stdout.splitlines()] == [
        "submission.solved.v1",
        "submission.revoked.v1",
    ]
    assert shown.stderr.splitlines()[-1] == "would be taken back: 1"


async def test_frozen_results_are_hidden_and_not_taken_back(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    words = ("--contest-id", "demo")
    assert (await importing(ranklist(a0=SOLVED), *words)).status == 0
    assert await counts(world) == {"demo:t1": 2}
    hidden = ranklist(a0={"result": "?"}, a1={"result": "RJ"})  # the second was handed in before the freeze
    assert (await importing(hidden, *words)).status == 0
    assert await counts(world) == {"demo:t1": 1}
    late = ranklist(a0={"result": "?"}, a1=SOLVED)
    assert (await importing(late, *words, "--respect-freeze")).status == 0
    assert await counts(world) == {"demo:t1": 1}
    assert (await importing(late, *words)).status == 0
    assert await counts(world) == {"demo:t1": 2}
    assert (await importing(ranklist(a0={"result": "RJ"}, a1={"result": "RJ"}), *words)).status == 0
    assert await counts(world) == {}


async def test_a_part_of_the_standings_takes_nothing_back(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    both = table(row(party("x"), cell(1.0), cell(1.0)), row(party("y"), cell(1.0), cell(0.0), rank=2))
    assert (await importing(both)).status == 0
    part = table(row(party("y"), cell(1.0), cell(1.0), rank=2))
    done = await importing(part, "--partial")
    assert "best rank in the file, which seems to be a part of the standings: 2" in done.stdout
    assert await counts(world) == {"1474:x": 2, "1474:y": 2}


async def test_the_world_finals_scoreboard_counts(world: World, wf47: Path) -> None:
    words = [str(wf47 / "scoreboard.json"), "--teams", str(wf47 / "teams.json"), "--contest-id", "wf47_finals"]
    done = await solve_producer(world, "import", "standings", *words, "--respect-freeze")
    assert done.status == 0, done.stderr
    assert sum((await counts(world)).values()) == 519
    done = await solve_producer(world, "import", "standings", *words)
    assert done.status == 0, done.stderr
    assert sum((await counts(world)).values()) == 604


async def test_what_cannot_be_read_publishes_nothing_and_names_the_place(world: World, importing) -> None:  # type: ignore[no-untyped-def]
    said = ranklist(a0={"result": "AC"})
    for words, message in (
        ((), "give its id with --contest-id"),
        (
            ("--contest-id", "c"),
            "$.rows[0].statuses[0]: a solve has no time; give one",
        ),
        (("--format", "clics-scoreboard", "--contest-id", "c"), "$.state.started: the contest has no start"),
    ):
        refused = await importing(said, *words)
        assert (refused.status, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), refused
        assert message in refused.stderr
    assert (await importing(said, "--contest-id", "c", "--default-time", "2022-11-06T02:00:00Z")).status == 0
    assert await counts(world) == {"c:t1": 2}
