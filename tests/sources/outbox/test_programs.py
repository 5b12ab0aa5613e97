"""The programs of docs/outbox.md, taken from the page: the transaction of a library's own, with the event in it."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from solve_sources.outbox.ddl import Dialect
from tests.events import registered
from tests.sources.commands import counts
from tests.sources.outbox.judges import Judge
from tests.sources.outbox.relaying import relay_once
from tests.world import World

PAGE = (Path(__file__).parents[3] / "docs" / "outbox.md").read_text()
PROGRAMS = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?\n)```", PAGE, re.DOTALL))
MYSQL_OF_PYTHON = "import pymysql\n\npymysql.install_as_MySQLdb()\n"  # a driver that needs no compiler


def test_every_program_of_the_page_is_run() -> None:
    assert set(PROGRAMS) == {"sqlalchemy_judge", "django_judge"}


@pytest.mark.parametrize(
    ("judge", "name", "scheme", "before"),
    [
        ("postgresql", "sqlalchemy_judge", "postgresql+asyncpg", ""),
        ("mysql", "django_judge", "mysql", MYSQL_OF_PYTHON),
    ],
    indirect=["judge"],
)
async def test_a_verdict_and_its_event_are_one_transaction(
    world: World, judge: Judge, tmp_path: Path, name: str, scheme: str, before: str
) -> None:
    await judge.run("DROP TABLE submissions")
    program = tmp_path / f"{name}.py"
    program.write_text(before + PROGRAMS[name])
    address = urlsplit(judge.url)._replace(scheme=scheme)
    if judge.dialect is Dialect.MYSQL:  # its driver takes no password beyond Latin-1
        await judge.run(f"CREATE USER {address.path[1:]} IDENTIFIED BY 'pw'", f"GRANT ALL ON * TO {address.path[1:]}")
        address = address._replace(netloc=f"{address.path[1:]}:pw@{address.hostname}:{address.port}")
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, str(program)], env={**os.environ, "JUDGE_DATABASE_URL": address.geturl()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    await judge.add(registered("1"))
    relayed = await relay_once(world, judge)
    assert (relayed.published, relayed.refused) == (4, 0)  # a registration, two solved, one revoked
    assert await counts(world) == {"1": 1}
    if judge.dialect is Dialect.MYSQL:
        await judge.run(f"DROP USER {address.username}")
