"""Rows of profiles that take long to read, and when they are kept."""

from typing import Any

import pytest

from solve_api.profiles import kept_solves
from solve_api.profiles.kept_solves import OF_SOLVES, KeptSolves


def row(user_id: str, version: int, problems_solved: int = 10_000, said: str = "said") -> dict[str, Any]:
    return {
        "user_id": user_id, "version": version, "problems_solved": problems_solved, **dict.fromkeys(OF_SOLVES, said)
    }  # fmt: skip


def test_a_row_of_the_version_that_is_kept_gets_what_it_lacks() -> None:
    kept = KeptSolves()
    first = row("u", 1)
    assert kept.complete(first, "UTC", kept.of("u", "UTC")) is first
    again = kept.complete(row("u", 1, said="not read") | {"username": "new"}, "UTC", kept.of("u", "UTC"))
    assert again == first | {"username": "new"}
    newer = row("u", 2, said="other")
    assert kept.complete(newer, "UTC", kept.of("u", "UTC")) is newer
    assert kept.of("u", "UTC") is newer
    assert kept.of("u", "Asia/Tokyo") is None


def test_only_so_many_rows_are_kept_and_none_that_is_read_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_solves, "MOST_KEPT", 2)
    kept = KeptSolves()
    for user_id in ("a", "b"):
        kept.complete(row(user_id, 1), "UTC", None)
    assert kept.of("a", "UTC")  # asked for again, so `b` goes first
    kept.complete(row("c", 1), "UTC", None)
    kept.complete(row("few", 1, problems_solved=5), "UTC", None)
    assert [user_id for user_id in ("a", "b", "c", "few") if kept.of(user_id, "UTC")] == ["a", "c"]
