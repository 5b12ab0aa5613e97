"""Docs that tell the truth: every path, link, command, option, setting and make target that a page names exists."""

import re
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperCommand, TyperGroup

from bench import settings_page
from devstack.__main__ import app as devstack
from solve_api.cli.main import app as api
from solve_producer.cli.main import app as producer
from solve_projector.cli.main import app as projector

Command = TyperCommand | TyperGroup
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "deploy" / "README.md", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
DEPLOYED = [
    ROOT / "docker-compose.yml",
    *(path for path in (ROOT / "deploy").rglob("*") if path.suffix in {".yml", ".yaml", ".json", ".service"}),
]
FOLDERS = "schemas|runtime|producer|projector|sources|gateway|examples|api|tests|devstack|bench|docs|deploy"
APPS = {"producer": producer, "projector": projector, "api": api}
PROGRAMS = {f"solve-{name}": typer.main.get_command(app) for name, app in APPS.items()}
PROGRAMS["python -m devstack"] = typer.main.get_command(devstack)
# A command in code: in backticks, in an indented block, or in a unit file.
RUN = re.compile(
    r"(?:`|bin/|^ +|\$ |\$\(|&& )(solve-producer|solve-projector|solve-api|python -m devstack) ([^`\n#|&>)]*)",
    re.MULTILINE,
)
# An old name stands in the changelog beside the new one.
OLD_SETTINGS = re.compile(r"^  \| `[^|]+\|", re.MULTILINE)
VARIABLES = re.compile(r"\b(?:SOLVE|KAFKA|DATABASE|REDIS|SOURCE|OTEL)_[A-Z_]*[A-Z]\b")
BROKERS_OWN = re.compile(
    r"KAFKA_(PORT|NODE_ID|PROCESS_|CONTROLLER_|LISTENER|ADVERTISED_|INTER_|OFFSETS_|TRANSACTION_|GROUP_INI|AUTO|LOG_DIRS)"
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leaf_commands(command: Command, *words: str) -> dict[tuple[str, ...], Command]:
    """Every command below this one, by its words."""
    if not isinstance(command, TyperGroup):
        return {words: command}
    found = {}
    for name, one in command.commands.items():
        found |= leaf_commands(one, *words, name)
    return found


COMMANDS = {(program, *words): one for program, root in PROGRAMS.items() for words, one in leaf_commands(root).items()}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_only_paths_that_exist(page: Path) -> None:
    missing = [
        path for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", page.read_text()) if not (ROOT / path).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_links_only_to_files_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" not in target:
            linked = page.parent / path if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors_of(linked), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_only_make_targets_that_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {"schemas"}
    used = re.findall(r"(?:`|    |\$ |&& )make ([a-z-]+)", page.read_text())
    assert set(used) - targets == set()


@pytest.mark.parametrize("page", [*PAGES, *DEPLOYED], ids=named)
def test_a_page_names_only_commands_and_options_that_exist(page: Path) -> None:
    for program, line in RUN.findall(page.read_text()):
        words = line.split(" -- ")[0].split()
        command: Command = PROGRAMS[program]
        while isinstance(command, TyperGroup) and words and re.fullmatch("[a-z][a-z-]+", words[0]):
            assert words[0] in command.commands, (program, line)
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
        options = {word.partition("=")[0].rstrip(",;)") for word in words if re.match("--?[a-z]", word)}
        assert isinstance(command, TyperGroup) or options <= known, (program, line)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_teaches_by_an_example(words: tuple[str, ...]) -> None:
    assert "Example" in str(COMMANDS[words].help)


@pytest.mark.parametrize("page", [*PAGES, *DEPLOYED], ids=named)
def test_a_page_names_only_settings_that_exist(page: Path) -> None:
    known = {variable for one in settings_page.SECTIONS.values() for variable in one.variables().values()}
    known |= set(VARIABLES.findall(settings_page.PAGE.read_text().partition(settings_page.END)[2]))
    text = OLD_SETTINGS.sub("", page.read_text()) if page.name == "CHANGELOG.md" else page.read_text()
    used = {name for name in VARIABLES.findall(text) if not BROKERS_OWN.match(name)}
    assert used - known == set()


def test_the_settings_page_is_what_the_classes_say() -> None:
    assert settings_page.page() == settings_page.PAGE.read_text(), "run: make generate"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_only_log_actions_that_exist(page: Path) -> None:
    source = "".join(
        path.read_text() for name in ("api", "projector", "runtime") for path in (ROOT / name).rglob("*.py")
    )
    actions = set(re.findall(r"""["']([a-z_]+)["']""", source))
    lines = re.findall(r"log lines? ((?:`[a-z_]+`(?:, | and )?)+)", page.read_text())
    assert {name for line in lines for name in re.findall("`([a-z_]+)`", line)} - actions == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_is_tidy(page: Path) -> None:
    """Lines of text have 120 characters at most; tables, commands and links may be longer."""
    for line in page.read_text().splitlines():
        assert line == line.rstrip(), line
        assert len(line) <= 120 or line.startswith(("|", "    ", "  |")) or "](" in line, line


def test_the_readme_is_read_in_a_minute() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_page_is_found_from_the_index() -> None:
    text = (ROOT / "docs" / "index.md").read_text() + (ROOT / "README.md").read_text()
    unlinked = [page.name for page in PAGES if page.name not in text]
    assert unlinked == []


def test_the_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert {picture.stem for picture in pictures} == {"profile", "admin"}
    assert max(picture.stat().st_size for picture in pictures) < 150_000


def test_pre_commit_runs_what_make_lint_runs() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [hook["entry"] for repository in hooks for hook in repository["hooks"]]
    assert entries == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
