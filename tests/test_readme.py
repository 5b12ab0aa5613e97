"""The README's first example, run as it stands: the profile says 1, and after the rejudge 0."""

import asyncio
import re
import sys
from pathlib import Path

from tests.api.served import Served, serving
from tests.waiting import until
from tests.world import World

README = (Path(__file__).parents[1] / "README.md").read_text()


async def problems_solved(api: Served) -> int | None:
    """What the profile of the example's user says; None while there is none."""
    found = await api.anybody.get("/api/users/u-1")
    return found.json()["problems_solved"] if found.status_code == 200 else None


async def test_the_first_example_shows_1_and_after_the_rejudge_0(world: World) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    pipe = asyncio.subprocess.PIPE
    async with world.running(), serving(world) as api:
        judge = await asyncio.create_subprocess_exec(
            sys.executable, "-c", example, env=world.environment, stdin=pipe, stdout=pipe
        )
        try:
            assert judge.stdout
            assert b"/users/u-1 says 1" in await judge.stdout.readuntil(b"to rejudge it. ")

            async def says(count: int) -> bool:
                return await problems_solved(api) == count

            await until(lambda: says(1), "the profile to say 1")
            said, _ = await judge.communicate(b"\n")
            assert (judge.returncode, said) == (0, b"Now it says 0.\n")
            await until(lambda: says(0), "the profile to say 0")
        finally:
            if judge.returncode is None:
                judge.kill()
                await judge.wait()
