"""The result of a replay: drift by kind, and each user whose count was wrong."""

import csv
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from solve_projector.errors import SettingsError
from solve_projector.leaderboard.audit import BoardDifference

UPDATES_IN_REPORT = 10_000
COLUMNS = ("user_id", "old_count", "new_count", "old_last_solved_at", "new_last_solved_at")


@dataclass(frozen=True, slots=True)
class Update:
    """A user whose count or last solve was not what the log says; the name is joined where it is shown (I13)."""

    user_id: str
    old_count: int
    new_count: int
    old_last_solved_at: datetime | None
    new_last_solved_at: datetime | None


@dataclass(slots=True)
class Report:
    """Figures of one replay; `updates` holds the first ten thousand users.

    An open transaction hides records from it, which is said and is no drift.
    """

    dry_run: bool
    partitions: list[int] = field(default_factory=list)
    cold: bool = False
    total_users: int = 0
    users_updated: int = 0
    updates: list[Update] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    solves: dict[str, int] = field(default_factory=dict)
    removals: dict[str, int] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)
    search_keys: dict[str, int] = field(default_factory=dict)
    parked_events: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    users_renamed_or_created: int = 0
    users_waiting: int = 0  # for the recount of a problem; not compared
    users_never_registered: list[str] = field(default_factory=list)
    users_refused: list[str] = field(default_factory=list)
    offsets_moved: list[dict[str, int]] = field(default_factory=list)
    leaderboard: BoardDifference | None = None
    leaderboard_problem: str | None = None
    offsets: dict[int, int] = field(default_factory=dict)
    open_transactions: list[str] = field(default_factory=list)
    records_read: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    longest_chunk_seconds: float = 0.0

    @property
    def drifted(self) -> bool:
        """Whether anything was not what the log says."""
        counted = (
            self.verdicts, self.solves, self.removals, self.problems, self.search_keys, self.parked_events,
            self.dead_letters,
        )  # fmt: skip
        return bool(
            self.users_updated
            or self.users_renamed_or_created
            or any(any(kinds.values()) for kinds in counted)
            or self.offsets_moved
            or self.leaderboard
        )

    @property
    def message(self) -> str:
        """One sentence for people."""
        did = "Audit complete" if self.dry_run else "Backfill complete"
        verb = "would be updated" if self.dry_run else "updated"
        return f"{did}: {self.users_updated} users {verb} out of {self.total_users}"

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; the keys that scripts rely on come first."""
        found = asdict(self)
        return {
            "success": not self.users_refused,
            "message": self.message,
            "total_users": self.total_users,
            "users_updated": self.users_updated,
            "users_unchanged": self.total_users - self.users_updated,
            "updates": found.pop("updates"),
            "updates_complete": len(self.updates) == self.users_updated,
            "drift": self.drifted,
            **{name: value for name, value in found.items() if name not in {"total_users", "users_updated"}},
            "duration_seconds": round(sum(self.seconds.values()), 3),
        }


async def write_updates(path: Path, updates: AsyncIterator[Update]) -> int:
    """Writes all updates as CSV, or as NDJSON by the name's suffix; returns how many. Raises SettingsError."""
    number = 0
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = None if path.suffix in {".ndjson", ".jsonl", ".json"} else csv.writer(stream)
            if table:
                table.writerow(COLUMNS)
            async for update in updates:
                row = asdict(update)
                if table:
                    table.writerow([_cell(row[name]) for name in COLUMNS])
                else:
                    stream.write(json.dumps(row, default=str, ensure_ascii=False) + "\n")
                number += 1
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}; choose another file with --report") from error
    return number


def _cell(value: Any) -> str:
    """Quotes what a spreadsheet would run as a formula; ids come from others."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
