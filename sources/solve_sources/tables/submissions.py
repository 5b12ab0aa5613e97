"""Of several rows of one submission the one that stands, in bounded memory.

Rows are verdicts, and the rule is that of events: the greatest revision, then the latest time, then one that is not
completed. A row without a time is before all others of its revision.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from solve_sources.reconciliation.scratch import Scratch, as_time, in_microseconds
from solve_sources.reconciliation.wanted import WantedSolve

TABLES = """
CREATE TABLE latest (
    user_id TEXT, problem_id TEXT, submission_id TEXT, judged_at INTEGER, submitted_at INTEGER, language TEXT,
    contest_id TEXT, revision INTEGER, refused INTEGER,
    PRIMARY KEY (submission_id, user_id, problem_id)
) WITHOUT ROWID;
"""
KEEP = """
INSERT INTO latest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (submission_id, user_id, problem_id) DO UPDATE SET
    judged_at = excluded.judged_at, submitted_at = excluded.submitted_at, language = excluded.language,
    contest_id = excluded.contest_id, revision = excluded.revision, refused = excluded.refused
WHERE (excluded.revision, excluded.judged_at, excluded.refused) > (revision, judged_at, refused)
    OR ((excluded.revision, excluded.judged_at, excluded.refused) = (revision, judged_at, refused)
        AND (excluded.submitted_at, excluded.language, excluded.contest_id) < (submitted_at, language, contest_id))
"""
NO_TIME = -1
ROWS_AT_ONCE = 1_000


class Refusal(NamedTuple):
    """A row that says that a submission is not solved; its time is in microseconds since 1970."""

    user_id: str
    problem_id: str
    submission_id: str
    judged_at: int = NO_TIME
    revision: int = 0


class Submissions(Scratch):
    """Which row of each submission stands."""

    def __init__(self) -> None:
        super().__init__(TABLES)

    def add(self, solves: Iterable[WantedSolve], refusals: Iterable[Refusal]) -> None:
        """Keeps what stands of these and those before."""
        self._database.executemany(
            KEEP,
            (
                (*one[:3], in_microseconds(one.judged_at), in_microseconds(one.submitted_at), *one[5:], False)
                for one in solves
            ),
        )
        self._database.executemany(KEEP, ((*one[:3], one.judged_at, 0, "", "", one.revision, True) for one in refusals))

    def solved(self) -> Iterator[list[WantedSolve]]:
        """Those of which a completed row stands, some at a time."""
        found = self._database.execute("SELECT * FROM latest WHERE NOT refused")
        while rows := found.fetchmany(ROWS_AT_ONCE):
            yield [WantedSolve(row[0], row[1], row[2], as_time(row[3]), as_time(row[4]), *row[5:8]) for row in rows]
