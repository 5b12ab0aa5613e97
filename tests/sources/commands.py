"""Runs `solve-producer` as a process of its own."""

import asyncio
import sys
from typing import Any, NamedTuple

from tests.world import World


class Ended(NamedTuple):
    """How a command ended."""

    status: int | None
    stdout: str
    stderr: str


async def solve_producer(world: World, *words: str, **environment: Any) -> Ended:
    """The command, run to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", *words,
        env=world.environment | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    return Ended(process.returncode, out.decode(), error.decode())


async def counts(world: World) -> dict[str, int]:
    """Who is on the leaderboard, once everything is applied."""
    await world.run_once()
    rows = await world.fetch(
        "SELECT user_id, problems_solved FROM users WHERE problems_solved > 0 AND listed AND NOT removed"
    )
    return {row[0]: row[1] for row in rows}
