"""The bench of the gateway at a tiny size: it runs to its end and reports what it measured."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.programs import program_of
from tests.world import World

ROOT = Path(__file__).parents[2]


async def test_events_are_sent_and_confirmed(world: World, tmp_path: Path) -> None:
    program_of("wrk", "wrk")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.gateway", "--rounds", "1", "--seconds", "1", "--json"),
        cwd=tmp_path,
        env=os.environ | world.environment | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    result = json.loads(out)
    assert result.keys() == {"1", "100"}
    assert all(one["events_per_s"] > 0 and one["ratio_to_bare"] > 0 for one in result.values())
    assert json.loads((tmp_path / "bench-results" / "gateway.json").read_text()) == result
