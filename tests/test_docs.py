"""Do the documents tell the truth? Every file, command, setting and make target that they name exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from solve_api.settings import ApiSettings
from solve_runtime.kafka_settings import KafkaConnection

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    named = re.findall(
        r"`((?:schemas|runtime|producer|projector|api|tests|devstack|bench|docs|deploy)/[\w./-]*)`", text
    )
    linked = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [target for target in linked if not (page.parent / target).exists()]
    assert missing == []


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z-]+)", page.read_text())}
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_the_settings_table_is_complete() -> None:
    table = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text()))
    settings = set(ApiSettings.variables().values())
    settings |= set(KafkaConnection.variables().values())
    assert settings - table == set()


@pytest.mark.parametrize("program", ["producer", "projector", "api"])
def test_every_command_that_the_readme_names_exists(program: str) -> None:
    commands = set(re.findall(rf"solve-{program} ((?:admin )?[a-z-]+)", (ROOT / "README.md").read_text()))
    assert commands
    for name in commands:
        words = [sys.executable, "-m", f"solve_{program}", *name.split(), "--help"]
        done = subprocess.run(words, capture_output=True, check=False)
        assert done.returncode == 0, (program, name, done.stderr)
        if name != "import":
            assert b"Example" in done.stdout, f"{program} {name} --help teaches by no example"
