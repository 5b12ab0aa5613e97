"""The bench of the pages at a tiny size: it runs to its end and reports what it measured."""

import asyncio
import json
import os
import sys
from pathlib import Path

from bench.wrk import MISSING
from tests.programs import program_of
from tests.world import World

ROOT = Path(__file__).parents[2]
TINY = [
    *("--users", "300", "--pages", "board", "--rounds", "1", "--seconds", "1"),
    *("--rate", "200", "--streams", "5", "--live-seconds", "1", "--json"),
]


async def bench(world: World, folder: Path, **changes: str) -> tuple[int, str, str]:
    """Exit status and what it printed; its result is written under `folder`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.pages", *TINY),
        cwd=folder,
        env=os.environ | world.environment | {"PYTHONPATH": str(ROOT)} | changes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    return process.returncode or 0, out.decode(), said.decode()


async def test_every_answer_and_every_solve_is_counted(world: World, tmp_path: Path) -> None:
    program_of("wrk", "wrk")
    status, out, said = await bench(world, tmp_path)
    assert status == 0, said
    result = json.loads(out)
    assert result["pages"].keys() == {"bare", "board"}
    assert result["pages"]["board"]["ratio_to_bare"] > 0
    assert result["visible"]["solves_heard"] > 0
    assert json.loads((tmp_path / "bench-results" / "pages.json").read_text()) == result


async def test_without_wrk_it_says_what_to_install(world: World, tmp_path: Path) -> None:
    assert await bench(world, tmp_path, PATH=str(tmp_path)) == (1, "", f"{MISSING}\n")
