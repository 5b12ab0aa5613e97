"""Runs `solve-api admin` as a process, for tests."""

import asyncio
import json
import subprocess
import sys
from typing import Any

from solve_api.cli.admin import admin_commands
from tests.world import World

OTHER = "another battery of staples"
COMMANDS_OF_ADMIN = admin_commands.registered_commands
Done = subprocess.CompletedProcess[str]


async def admin(world: World, *words: str, given: str = "", **changes: str) -> Done:
    """`solve-api admin …`, with that as its input."""
    return await command_line(world, "admin", *words, given=given, **changes)


async def command_line(world: World, *words: str, given: str = "", **changes: str) -> Done:
    """`solve-api …`, with that as its input."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "solve_api", *words],
        input=given,
        capture_output=True,
        # a dozen at once may rest in a transaction for longer than the two seconds of other tests
        env=world.environment | {"SOLVE_TRANSACTION_IDLE_TIMEOUT_MS": "30000"} | changes,
        text=True,
        check=False,
    )


async def done(world: World, *words: str, given: str = "") -> Any:
    """What it prints as JSON."""
    found = await admin(world, *words, "--json", given=given)
    assert (found.returncode, found.stderr) == (0, "")
    return json.loads(found.stdout)
