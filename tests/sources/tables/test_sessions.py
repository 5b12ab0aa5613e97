"""The meaning of a row's values: numbers that are none, whole numbers of any column."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from solve_sources.tables.sessions import Rules, solves_of, value_text

NOW = datetime(2024, 5, 1, tzinfo=UTC)
ROW = {
    "key_text": "1", "user_id": "ada", "problem_id": "p", "submission_id": "s", "completed": True,
    "completed_at": datetime(2024, 1, 1, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), float("inf")])
def test_a_number_that_is_none_is_neither_yes_nor_no(value: Any) -> None:
    page = solves_of([ROW | {"completed": value}], Rules(), NOW)
    assert (page.solves, page.refusals) == ([], [])
    assert "the row with key 1 has" in page.bad_rows[0]
    assert value_text(value) == str(value)  # where a mapping names the values that count, it is none of them
    assert solves_of([ROW | {"completed": value}], Rules(solved=frozenset(("1",))), NOW).not_completed == 1


@pytest.mark.parametrize("revision", [3, 3.0, Decimal(3), Decimal("3.00")])
def test_a_whole_number_is_one_in_any_kind_of_column(revision: Any) -> None:
    (solve,) = solves_of([ROW | {"revision": revision}], Rules(), NOW).solves
    (refusal,) = solves_of([ROW | {"completed": False, "revision": revision}], Rules(), NOW).refusals
    assert solve.revision == refusal.revision == 3


@pytest.mark.parametrize("revision", [0.5, Decimal("NaN"), float("inf"), -1, 2**70])
def test_another_number_is_no_revision(revision: Any) -> None:
    assert "revision" in solves_of([ROW | {"revision": revision}], Rules(), NOW).bad_rows[0]
