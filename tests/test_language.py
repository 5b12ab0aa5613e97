"""Plain English, held by rules: docstrings that say what they do, no retired words, no regular expression in messages.

The words and their replacements are those of docs/glossary.md and CONTRIBUTING.md. Identifiers count as words, too:
`board_away` and `BoardAway` both read "board away".
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "schemas",
    "runtime",
    "producer",
    "projector",
    "sources",
    "gateway",
    "api",
    "devstack",
    "bench",
    "tests",
    "deploy",
    "docs",
    ".ci",
    ".",
)
NAMES = {"Makefile", "Dockerfile", "run"}
SUFFIXES = {
    ".py",
    ".sql",
    ".lua",
    ".js",
    ".css",
    ".html",
    ".md",
    ".yml",
    ".yaml",
    ".json",
    ".toml",
    ".service",
    ".timer",
}
EXEMPT = {Path(__file__), ROOT / "CHANGELOG.md"}  # both name what is retired

QUESTION = re.compile(
    r"(who|whom|whose|what|when|where|which|why|how|does|do|did|is|are|was|may|can|could|should|would|will|has|have"
    r"|(under|by|from|in|of|at|to|for|with|on) (which|what|whom))\b",
    re.IGNORECASE,
)
RETIRED = {
    r"(?<!right )away(?! from)": "unavailable, or by what happened",
    r"mend(s|ed|ing)?": "repair, fix",
    r"in step": "in sync",
    r"behind(?! tls| (a|the|one|your|another) (reverse )?(proxy|vpn))": "stale, lags, after",
    r"bur(y|ies|ied|ying)": "dead-letter",
    r"died": "dead-letter, stopped",
    r"(a|an|the|one|each|every|last|first|next|no|another|its|our|two) looks?": "snapshot, check",
    r"told": "notified, reported",
    r"strangers?": "unknown users",
    r"stretch(es)?": "page",
    r"doors?": "login",
    r"machinery": "what it is: lag, audit, tokens",
    r"keepers?": "reconciler",
    r"endings": "tasks, cancelled",
    r"begun": "started",
    r"until now": "current",
    r"once more": "again, confirm",
    r"ticked": "selected",
    r"of two with as many": "Ties go to whoever got there first",
    r"trying on": "trying again",
    r"log-(in|out)s?": "login, logout; log in, log out as verbs",
}
WORDS = {re.compile(rf"(?<![a-z]){old}(?![a-z])"): new for old, new in RETIRED.items()}
ON_PAGES = {"Read again": "Retry", "Give up": "Discard", ">Audit<": ">Activity<"}
PATTERN = re.compile(r"\^\[|\]\{\d|\]\*|\]\+|\(\?[:!=<P]|\\[dwsAZ](?![a-z])|\$'")
SENTENCE = re.compile(r"[a-z]{2,},? [a-z]+,? [a-z]{2,}")
# A name of a test, which is held where the test is.
TEST_NAME = re.compile(r"`tests/[\w/]+\.py(::\w+)?`")


def files_of(folder: str) -> list[Path]:
    """The text files of a top folder; of ".", those beside the folders."""
    found = (ROOT / folder).glob("*") if folder == "." else (ROOT / folder).rglob("*")
    return sorted(
        path
        for path in found
        if path.is_file() and (path.suffix in SUFFIXES or path.name in NAMES) and path not in EXEMPT
    )


def modules_of(folder: str) -> list[Path]:
    return [path for path in files_of(folder) if path.suffix == ".py"]


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?!:])\s", text.strip(), maxsplit=1)[0]


def named(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def docstrings(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of each docstring; an empty text where a module has none."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if text or (isinstance(node, ast.Module) and tree.body):
                yield getattr(node, "lineno", 1), type(node).__name__, text


def spoken(line: str) -> str:
    """A line as words: identifiers taken apart, in lower case."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", TEST_NAME.sub("", line))
    return apart.replace("_", " ").lower()


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_say_what_they_do_and_ask_nothing(folder: str) -> None:
    wrong = []
    for path in modules_of(folder):
        for line, kind, text in docstrings(path):
            said = first_sentence(text)
            if not text:
                wrong.append(f"{named(path, line)}: no docstring")
            elif "?" in said or (kind == "Module" and QUESTION.match(said)):
                wrong.append(f"{named(path, line)}: {said}")
    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_comments_ask_nothing(folder: str) -> None:
    asks = re.compile(r"^\s*(#|//|--|/?\*|<!--|\{#).*\w\?(\s|$)")
    wrong = [
        f"{named(path, number)}: {line.strip()}"
        for path in files_of(folder)
        if path.suffix != ".md"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if asks.match(line)
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_retired_words_are_gone(folder: str) -> None:
    wrong = []
    for path in files_of(folder):
        for number, line in enumerate([spoken(path.stem), *path.read_text().splitlines()]):
            said = spoken(line)
            wrong += [
                f"{named(path, number)}: “{found[0]}”, say {new}"
                for pattern, new in WORDS.items()
                if (found := pattern.search(said))
            ]
    assert wrong == []


def test_pages_and_commands_have_one_vocabulary() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: “{old}”, say {new}"
        for path in files_of("api")
        if path.suffix in {".html", ".js", ".py"}
        for old, new in ON_PAGES.items()
        if old in path.read_text()
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS[:8])
def test_no_message_shows_a_regular_expression(folder: str) -> None:
    """Neither written into a sentence, nor put there by an f-string."""
    wrong = []
    for path in modules_of(folder):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if SENTENCE.search(node.value) and PATTERN.search(node.value):
                    wrong.append(f"{named(path, node.lineno)}: {node.value}")
            elif isinstance(node, ast.JoinedStr):
                shown = [one.attr for part in node.values for one in ast.walk(part) if isinstance(one, ast.Attribute)]
                if "pattern" in shown:
                    wrong.append(f"{named(path, node.lineno)}: {ast.unparse(node)}")
    assert wrong == []


@pytest.mark.parametrize("variable", ["SOLVE_TOPIC", "SOLVE_DATABASE_SCHEMA", "SOLVE_LEADERBOARD_PREFIX"])
def test_a_setting_of_a_wrong_form_is_refused_in_words(variable: str) -> None:
    command = [sys.executable, "-m", "solve_projector", "setup"]
    done = subprocess.run(
        command, env=os.environ | {variable: "no such *"}, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert variable in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not PATTERN.search(done.stderr), done.stderr
