"""The demo as the README shows it: check, live pages that move, a clean end by Ctrl-C, and a check again."""

import asyncio
import re
import signal
import sys

import httpx

from tests.waiting import until
from tests.world import World

WORDS = ("-m", "bench.demo", "--events", "4000")


async def test_the_demo_shows_pages_that_move_and_ends_by_ctrl_c_with_every_count_right(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *WORDS, env=world.environment | {"SOLVE_API_PORT": "0"}, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        said = (await process.stdout.readuntil(b"Ctrl-C ends.")).decode()
        assert said.count(": OK") == 1
        found = re.search(r"pages: (\S+) +admin: \S+ +name: (\S+) +password: (\S+)", said)
        assert found, said
        async with httpx.AsyncClient(base_url=found[1], timeout=60) as client:
            logged_in = await client.post("/api/admin/login", json={"name": found[2], "password": found[3]})
            assert logged_in.status_code == 200
            before = (await client.get("/api/leaderboard")).json()["entries"]

            async def has_moved() -> bool:
                return bool((await client.get("/api/leaderboard")).json()["entries"] != before)

            await until(has_moved, "the board to move")
        process.send_signal(signal.SIGINT)
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 0
        assert re.search(r"stopped after \d+ more events\n.*: OK\n", rest), rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_demo_ends_after_the_check_with_once(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *WORDS, "--once", env=world.environment, stdout=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[0].decode()
    assert (process.returncode, said.count(": OK"), "pages:" in said) == (0, 1, False), said
