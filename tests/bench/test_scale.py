"""The bench of the read model at a tiny size, and its open loop."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from bench import open_loop
from bench.open_loop import Asked, ask_steadily
from tests.world import World

ROOT = Path(__file__).parents[2]
TINY = ("--users", "300", "--verdicts", "3000", "--seconds", "0.5", "--events", "400", "--json")


async def test_every_promise_is_measured_or_named_as_skipped(world: World, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.scale", *TINY),
        cwd=tmp_path,
        env=os.environ | world.environment | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    result = json.loads(out)
    assert result["workload"]["most_solved"] >= 3_000
    for state in ("Redis in sync", "Redis emptied"):
        assert len(result["answers"][state]) == 3
        assert all(one["failed"] == 0 < one["p99_ms"] for one in result["answers"][state].values())
    skipped = " ".join(result["skipped"])
    for state, name in (("periods", "day"), ("periods", "year"), ("search", "search")):
        assert (name in result["answers"][state]) != (f"{state}: {name} " in skipped)
    assert len(result["answers"]["the one with most"]) == 2
    assert result["projection"]["ratio"] > 0
    assert result["floors"]["copy_rows_per_s"] > 0
    assert json.loads((tmp_path / "bench-results" / "scale.json").read_text()) == result


async def test_questions_are_asked_when_due_and_not_when_the_last_answer_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "UNCOUNTED_S", 0.05)
    last_asked = asyncio.Event()

    async def ask(number: int) -> bool:
        if number == 14:
            last_asked.set()
        await last_asked.wait()  # whoever waits for an answer before the next question waits for ever
        return number not in {2, 7}  # the first five do not count

    answers = (await ask_steadily([Asked("stalled", ask, rate=100)], seconds=0.1))["stalled"]
    assert (len(answers.took_s), answers.failed) == (10, 1)
    assert max(answers.took_s) >= 9 / 100  # the first one waited for all others to become due
