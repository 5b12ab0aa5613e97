"""Schemathesis over HTTP: every answer is as the OpenAPI document says, and none is a 500."""

import asyncio
import sys
from pathlib import Path

import pytest

from solve_api.identity.tokens import Scope
from solve_producer.demo.simulation import Season, simulate
from tests.api.served import serving
from tests.events import BEGIN
from tests.projector.dead_letters import add_dead_letters
from tests.world import World

SEASON = Season(start=BEGIN, users=30, problems=20, events=400, seed=3)
UNLIMITED = {"api_read_rate": "1000000/second", "api_costly_rate": "1000000/second", "api_login_rate": "1000000/second"}
# a stream has no end to wait for: tests/api/live/test_live.py asks it
ENDLESS = "^/api/events$"
# it would end the session in the middle of the run; what else could asks for the password
LEAVES = "/logout$"
# each question starts a process, which reads the log
REPAIRS = "/(backfill-problems-solved|sync-leaderboard)$"
# what refuses a wrong request: theirs, and a head or a body that is too large
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431, "5xx"]
"""


async def asked_by_schemathesis(address: str, folder: Path, *words: str) -> tuple[int, str]:
    """Exit status and what it printed; what it keeps goes to the folder."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("st"),
        "run",
        f"{address}/api/openapi.json",
        "--checks=all",
        "--no-color",
        *words,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def fill(world: World) -> None:
    """Users, solves and dead letters to be found."""
    await world.publish(simulate(SEASON))
    await world.run_once()
    await add_dead_letters(world, world.published[-3:])


@pytest.mark.parametrize(
    ("caller", "phases"), [("anybody", "examples,fuzzing"), ("session", "coverage,fuzzing,stateful")]
)
async def test_every_answer_is_as_documented(world: World, caller: str, phases: str, tmp_path: Path) -> None:
    await fill(world)
    await ask_as(world, caller, tmp_path, 5, 1, "--generation-deterministic", f"--phases={phases}")


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("caller", ["anybody", "session", "token"])
async def test_every_answer_is_as_documented_for_very_many_requests(world: World, caller: str, tmp_path: Path) -> None:
    await fill(world)
    await ask_as(world, caller, tmp_path, 60, 20, "--generation-database=none")


async def ask_as(world: World, caller: str, folder: Path, examples: int, repairs: int, *words: str) -> None:
    """Runs it, logged in as that, with so many examples of an operation, and of one that starts a process."""
    # not the name of the document's examples: their login would end this session
    async with serving(world, **UNLIMITED) as api, api.admin("grace") as admin, api.script(*Scope) as script:
        headers = {
            "anybody": [],
            "session": [
                f"Cookie: solve_session={admin.cookies['solve_session']}",
                f"X-CSRF-Token: {admin.headers['x-csrf-token']}",
            ],
            "token": [f"Authorization: {script.headers['authorization']}"],
        }[caller]
        as_caller = [word for header in headers for word in ("--header", header)]
        # what JSON Schema cannot say (one of three parameters, a time zone that exists) is a 422, as documented
        not_checked = "positive_data_acceptance"
        if (
            caller != "anybody"
        ):  # the right secret goes along always, and made-up ones beside it would hide what it opens
            as_caller += ["--generation-with-security-parameters=false"]
            not_checked += ",ignored_auth"
        others = "|".join([ENDLESS, REPAIRS, *([LEAVES] if caller == "session" else [])])
        for number, asked in (
            (examples, f"--exclude-path-regex={others}"),
            (repairs, f"--include-path-regex={REPAIRS}"),
        ):
            status, said = await asked_by_schemathesis(
                api.address,
                folder,
                *as_caller,
                f"--exclude-checks={not_checked}",
                asked,
                f"--max-examples={number}",
                *words,
            )
            assert status == 0, said
