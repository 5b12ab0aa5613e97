"""docs/security.md, complete and honest: every requirement once, every proof present, every gap counted."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from solve_api.identity.known_words import OUR_WORDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
IDS = ROOT / "tests" / "data" / "asvs-5.0-l2-ids.txt"
ROWS = re.findall(r"^\| (V\d+\.\d+\.\d+) \| ([^|]+) \| ([^|:]+): ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
MET, NOT_ASKED, MISSING = "Met", "Does not apply", "Does not hold yet"


@cache
def functions_of(path: str) -> frozenset[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def wanted() -> dict[str, str]:
    """Level by id."""
    lines = [line.partition(" ") for line in IDS.read_text().splitlines() if not line.startswith("#")]
    return {requirement: level for requirement, _, level in lines}


def test_every_requirement_is_there_once() -> None:
    assert [row[0] for row in ROWS] == list(wanted())
    assert Counter(wanted().values()) == {"1": 70, "2": 183}  # as the standard counts them
    assert len(re.findall(r"^\| V\d", PAGE, re.MULTILINE)) == len(ROWS), "a row that is not read"


def test_every_row_says_how_it_stands_and_the_summary_counts_them() -> None:
    states = Counter(row[2] for row in ROWS)
    assert set(states) == {MET, NOT_ASKED, MISSING}
    said = (
        f"Of the {len(ROWS)} requirements of levels 1 and 2 (70 and 183), {states[MET]} are met, "
        f"{states[NOT_ASKED]} do not apply, and {states[MISSING]} do not hold yet."
    )
    assert said in PAGE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_met_is_proved_by_what_exists(row: tuple[str, ...]) -> None:
    _, _, state, _, proof = row
    named = re.findall(r"`([^`]+)`", proof)
    assert bool(named) == (state == MET)
    for one in named:
        path, _, function = one.partition("::")
        assert (ROOT / path).is_file(), path
        assert path.startswith("tests/") == bool(function)
        if function:
            assert function.startswith("test_")
            assert function in functions_of(path), one


def test_the_words_that_count_as_known_are_documented() -> None:
    (said,) = re.findall(r"nor do these words of ours: ([^.]+)\.", " ".join(PAGE.split()))
    assert tuple(re.findall(r"`([\w-]+)`", said)) == OUR_WORDS


def test_the_licence_of_the_standard_is_named() -> None:
    for text in (PAGE, IDS.read_text()):
        assert "CC BY-SA 4.0" in text
        assert "OWASP Foundation" in text
