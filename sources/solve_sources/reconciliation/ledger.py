"""The ledger of what was counted from a source, in bounded memory: verdicts and users as they stand.

Each run over the source begins with `start_round`; what it offers is marked, so that the rest is what the source does
not name any more.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from solve_projector.domain.rule import Registration, Removal, Verdict, beats
from solve_sources.reconciliation.difference import KnownUser
from solve_sources.reconciliation.scratch import Scratch, as_time, in_microseconds

TABLES = """
CREATE TABLE verdicts (
    user_id TEXT, problem_id TEXT, submission_id TEXT, solved INTEGER, judged_at INTEGER, submitted_at INTEGER,
    language TEXT, contest_id TEXT, reason TEXT, source_partition INTEGER, source_offset INTEGER, revision INTEGER,
    source TEXT, round INTEGER DEFAULT 0,
    PRIMARY KEY (submission_id, user_id, problem_id)
) WITHOUT ROWID;
CREATE TABLE users (
    user_id TEXT PRIMARY KEY, exists_ INTEGER, registered_at INTEGER, username TEXT, listed INTEGER, removed_at INTEGER
) WITHOUT ROWID;
"""
COLUMNS = (
    "user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, "
    "source_partition, source_offset, revision, source"
)
OF_KEY = "WHERE submission_id = ? AND user_id = ? AND problem_id = ?"
ROWS_AT_ONCE = 1_000


class Ledger(Scratch):
    """The standing verdicts that concern a source, and its users; with a contest, of that alone."""

    def __init__(self, source: str, contest_id: str = "") -> None:
        super().__init__(TABLES)
        self.source = source
        self.contest_id = contest_id
        self.user_prefix = f"{contest_id}:" if contest_id else ""
        self._round = 0
        self.changes = 0  # of what stands, since it was opened

    def clear(self) -> None:
        """Forgets everything, before it is read anew."""
        for table in ("verdicts", "users"):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - one of ours

    def concerns(self, verdict: Verdict) -> bool:
        """Whether a verdict of the log may have to do with this source."""
        return verdict.user_id.startswith(self.user_prefix)

    def fold(self, verdict: Verdict, *, named: bool = False) -> None:
        """Adds a verdict by the rule; `named` where the source has just said it."""
        standing = self.find(verdict.key)
        if standing is None or beats(verdict, standing):
            self.changes += 1
            known = f"coalesce((SELECT round FROM verdicts {OF_KEY}), 0)"  # noqa: S608
            self._database.execute(
                f"INSERT OR REPLACE INTO verdicts ({COLUMNS}, round)"  # noqa: S608
                f" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?, {self._round if named else known})",
                (*_as_row(verdict), *(() if named else _key_of(verdict))),
            )

    def find(self, key: tuple[str, str, str]) -> Verdict | None:
        """What stands of (user, problem, submission)."""
        user_id, problem_id, submission_id = key
        found = self._database.execute(
            f"SELECT {COLUMNS} FROM verdicts {OF_KEY}",  # noqa: S608
            (submission_id, user_id, problem_id),
        ).fetchone()
        return _verdict_of(found) if found else None

    def of_submission(self, submission_id: str) -> list[Verdict]:
        """What stands of a submission, whoever is said to have handed it in."""
        found = self._database.execute(
            f"SELECT {COLUMNS} FROM verdicts WHERE submission_id = ?",  # noqa: S608
            (submission_id,),
        )
        return [_verdict_of(row) for row in found]

    def start_round(self) -> None:
        """Nothing is marked from here on."""
        self._round += 1

    def mark(self, keys: Iterable[tuple[str, str, str]]) -> None:
        """The source names these."""
        self._database.executemany(
            f"UPDATE verdicts SET round = {self._round} {OF_KEY}",  # noqa: S608
            ((submission_id, user_id, problem_id) for user_id, problem_id, submission_id in keys),
        )

    def unmarked(self) -> Iterator[list[Verdict]]:
        """The source's standing solves that it does not name in this round, some at a time; they may be replaced."""
        after = ("", "", "")
        while True:
            rows = self._database.execute(
                f"SELECT {COLUMNS} FROM verdicts"  # noqa: S608
                " WHERE (submission_id, user_id, problem_id) > (?, ?, ?) AND solved AND source = ? AND round <> ?"
                " AND ? IN ('', contest_id)"
                f" ORDER BY submission_id, user_id, problem_id LIMIT {ROWS_AT_ONCE}",
                (*after, self.source, self._round, self.contest_id),
            ).fetchall()
            if not rows:
                return
            yield [_verdict_of(row) for row in rows]
            after = (rows[-1][2], rows[-1][0], rows[-1][1])

    def solved_of_source(self) -> int:
        """How many solves of the source stand."""
        found = self._database.execute(
            "SELECT count(*) FROM verdicts WHERE solved AND source = ? AND ? IN ('', contest_id)",
            (self.source, self.contest_id),
        )
        return int(found.fetchone()[0])

    def fold_registration(self, user_id: str, said: Registration) -> None:
        """Keeps the latest registration."""
        known = self.user(user_id)
        if known is None or known.registered_at is None or self._rank(known) < said:
            at = in_microseconds(said.registered_at)
            self._database.execute(
                "INSERT INTO users (user_id, exists_, registered_at, username, listed) VALUES (?, 1, ?, ?, ?)"
                " ON CONFLICT (user_id) DO UPDATE SET exists_ = 1, registered_at = excluded.registered_at,"
                " username = excluded.username, listed = excluded.listed",
                (user_id, at, said.username, not said.unlisted),
            )

    def fold_removal(self, user_id: str, said: Removal) -> None:
        """Keeps the latest removal."""
        self._database.execute(
            "INSERT INTO users (user_id, exists_, removed_at) VALUES (?, 0, ?)"
            " ON CONFLICT (user_id) DO UPDATE SET removed_at = max(coalesce(removed_at, 0), excluded.removed_at)",
            (user_id, in_microseconds(said.removed_at)),
        )

    def load_user(self, user_id: str, username: str, listed: bool, registered_at: datetime | None) -> None:
        """A row of `users`; its time is None where the site made it."""
        if registered_at is not None:
            self.fold_registration(user_id, Registration(registered_at, not listed, username))
        elif self.user(user_id) is None:
            self._database.execute(
                "INSERT INTO users (user_id, exists_, username, listed) VALUES (?, 1, ?, ?)",
                (user_id, username, listed),
            )

    def user(self, user_id: str) -> KnownUser | None:
        """What is known of a user."""
        found = self._database.execute(
            "SELECT exists_, registered_at, coalesce(username, ''), coalesce(listed, 1), removed_at"
            " FROM users WHERE user_id = ?",
            (user_id,),
        ).fetchone()
        if found is None:
            return None
        exists, registered_at, username, listed, removed_at = found
        return KnownUser(bool(exists), _time(registered_at), username, bool(listed), _time(removed_at))

    @staticmethod
    def _rank(known: KnownUser) -> tuple[datetime | None, bool, str]:
        return known.registered_at, not known.listed, known.username


def _key_of(verdict: Verdict) -> tuple[str, str, str]:
    return verdict.submission_id, verdict.user_id, verdict.problem_id


def _as_row(verdict: Verdict) -> tuple[Any, ...]:
    submitted_at = None if verdict.submitted_at is None else in_microseconds(verdict.submitted_at)
    return (*verdict[:4], in_microseconds(verdict.judged_at), submitted_at, *verdict[6:])


def _verdict_of(row: tuple[Any, ...]) -> Verdict:
    return Verdict._make((*row[:3], bool(row[3]), as_time(row[4]), _time(row[5]), *row[6:]))


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else as_time(microseconds)
