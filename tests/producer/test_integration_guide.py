"""The programs of docs/integration.md, taken from the page and run against a real Kafka."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.kafka import jars
from tests.programs import program_of
from tests.world import World

PAGE = (Path(__file__).parents[2] / "docs" / "integration.md").read_text()
PROGRAMS = {name: f"{code}\n" for name, code in re.findall(r"```\w+\n(?:#|//) ([\w.]+)\n(.*?)\n```", PAGE, re.DOTALL)}
NODE_CLIENT = "@platformatic/kafka@1"


def install(name: str, folder: Path) -> list[str]:
    """The program's file in a folder of its own, with what it needs; how to run it there."""
    (folder / name).write_text(PROGRAMS[name])
    if name.endswith(".py"):
        return [sys.executable, name]
    if name.endswith(".mjs"):
        npm = program_of("npm", "npm")
        words = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", ".", NODE_CLIENT]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        return [program_of("nodejs", "node"), name]
    program_of("default-jdk-headless", "javac")  # `java` alone may be a runtime, which compiles nothing
    return [program_of("default-jdk-headless", "java"), "-cp", ":".join(map(str, jars())), name]


def test_every_program_of_the_page_is_run() -> None:
    assert set(PROGRAMS) == {"async_judge.py", "sync_judge.py", "publish.mjs", "Publish.java"}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_of_the_page_makes_the_count_one(world: World, tmp_path: Path, name: str) -> None:
    words = await asyncio.to_thread(install, name, tmp_path)
    where = {"KAFKA_BOOTSTRAP_SERVERS": world.connection.bootstrap_servers, "SOLVE_TOPIC": world.connection.topic}
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=tmp_path, env={**os.environ, **where}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    totals = await world.run_once()
    assert (totals.dead_letters, await world.value("SELECT problems_solved FROM users WHERE user_id = '1'")) == (0, 1)
    assert await world.value("SELECT count(*) FROM parked_events") == 0
