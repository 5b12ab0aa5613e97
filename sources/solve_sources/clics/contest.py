"""A contest as its feed says it stands: of each object the latest state, whatever order the changes came in.

Kept in a temporary database, so that memory grows neither with the feed nor with time. Only what verdicts and users
depend on is kept; a deleted object is remembered as gone.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from solve_runtime.text import readable
from solve_sources.clics.columns import COLUMNS_OF, judgement_columns, submission_columns, text_of
from solve_sources.clics.feed import FeedChange
from solve_sources.clics.objects import JUDGED, ORPHANS, Submission, Team, judgement_of, submission_of
from solve_sources.clics.schedule import Schedule
from solve_sources.errors import FeedError
from solve_sources.reconciliation.scratch import Scratch, as_time, storable

TABLES = """
CREATE TABLE teams (id TEXT PRIMARY KEY, name TEXT, hidden INTEGER, group_ids TEXT, gone INTEGER) WITHOUT ROWID;
CREATE TABLE groups (id TEXT PRIMARY KEY, hidden INTEGER, gone INTEGER) WITHOUT ROWID;
CREATE TABLE problems (id TEXT PRIMARY KEY, gone INTEGER) WITHOUT ROWID;
CREATE TABLE judgement_types (id TEXT PRIMARY KEY, solved INTEGER, gone INTEGER) WITHOUT ROWID;
CREATE TABLE submissions (
    id TEXT PRIMARY KEY, team_id TEXT, problem_id TEXT, language_id TEXT, time INTEGER, contest_time INTEGER,
    gone INTEGER
) WITHOUT ROWID;
CREATE TABLE judgements (
    id TEXT PRIMARY KEY, submission_id TEXT, type_id TEXT, start_time INTEGER, start_contest_time INTEGER,
    end_time INTEGER, end_contest_time INTEGER, stands INTEGER, change INTEGER, gone INTEGER
) WITHOUT ROWID;
CREATE INDEX judgements_submission ON judgements (submission_id);
CREATE TABLE changed (id TEXT PRIMARY KEY) WITHOUT ROWID;
-- what a feed need not say: the spec's well-known type
INSERT INTO judgement_types VALUES ('AC', 1, 0);
"""
TABLE_OF = {
    "teams": "teams",
    "groups": "groups",
    "problems": "problems",
    "judgement-types": "judgement_types",
    "submissions": "submissions",
    "judgements": "judgements",
}


class Contest(Scratch):
    """The state of one contest, and which submissions changed since they were last asked for."""

    def __init__(self) -> None:
        super().__init__(TABLES)
        self._contest: dict[str, Any] = {}
        self._state: dict[str, Any] = {}
        self._changes = 0
        self._named: set[str] = set()
        self._listed: set[str] = set()
        self.contest_id = ""
        self.is_deleted = False
        self.all_changed = False  # something that every verdict may depend on

    def apply(self, change: FeedChange) -> None:
        """One object's state from here on, or with an id of None a whole collection: what it does not name is gone.

        Raises FeedError where it is of another contest.
        """
        self._changes += 1
        self._require_one_contest(change.contest_id)
        if change.type == "contest":
            self._set_contest(change)
        elif change.type == "state":
            self._state = change.state if isinstance(change.state, dict) else {}
            self.all_changed = True
        elif change.type in TABLE_OF:
            self._named.add(change.type)
            if isinstance(change.state, list):
                self._listed.add(change.type)
                self._replace_all(change.type, change.state)
            elif change.id is not None:
                self._apply_one(change.type, change.id, change.state)

    def forget_unnamed(self) -> None:
        """Before a feed that is sent anew from its beginning: whatever it does not name is gone."""
        for table in TABLE_OF.values():
            self._database.execute(f"UPDATE {table} SET gone = 1")  # noqa: S608 - one of ours
        self._database.execute("INSERT OR REPLACE INTO judgement_types VALUES ('AC', 1, 0)")
        self._contest, self._state, self.is_deleted = {}, {}, False
        self._named.clear()
        self._listed.clear()
        self.all_changed = True

    @property
    def schedule(self) -> Schedule:
        """From the contest and its state."""
        return Schedule.of(self._contest, self._state)

    def teams(self) -> Iterator[Team]:
        """Those that stand, by id; hidden are those that the scoreboard leaves out."""
        shown_group = self._shown_group()
        groups_said = self._database.execute("SELECT id, hidden AND NOT gone FROM groups").fetchall()
        known_groups, hidden_groups = {one for one, _ in groups_said}, {one for one, hidden in groups_said if hidden}
        for team_id, name, hidden, group_ids in self._database.execute(
            "SELECT id, name, hidden, group_ids FROM teams WHERE NOT gone ORDER BY id"
        ):
            groups = json.loads(group_ids)
            elsewhere = shown_group is not None and shown_group not in groups
            is_hidden = bool(hidden) or elsewhere or not hidden_groups.isdisjoint(groups)
            yield Team(team_id, name, is_hidden, known_groups.issuperset(groups))

    def _shown_group(self) -> str | None:
        """2026-01: the group that the scoreboard is of; None for all teams."""
        shown = text_of(self._contest.get("main_scoreboard_group_id"))
        known = self._database.execute("SELECT 1 FROM groups WHERE id = ? AND NOT gone", (shown,)).fetchone()
        return shown if known else None

    def submissions(self, only_changed: bool = False) -> Iterator[Submission]:
        """All of them by id, also deleted ones, or those that changed since `settled`."""
        return self._judged("submissions", "WHERE submissions.id IN (SELECT id FROM changed)" if only_changed else "")

    def orphans(self) -> Iterator[Submission]:
        """Those of which the feed has judgements and nothing else, by id."""
        return self._judged(ORPHANS)

    def _judged(self, which: str, where: str = "") -> Iterator[Submission]:
        rows = self._database.execute(
            f"{JUDGED.format(submissions=which)} {where} ORDER BY submissions.id, judgements.change"
        )
        schedule = self.schedule
        current: Submission | None = None
        for row in rows:
            if current is None or current.id != row[0]:
                if current is not None:
                    yield current
                current = submission_of(row, schedule, self.is_deleted)
            if row[10] is not None:
                current.judgements.append(judgement_of(row, schedule))
        if current is not None:
            yield current

    @property
    def is_empty(self) -> bool:
        """Whether the feed said nothing at all."""
        return self._changes == 0

    def names(self, what: str) -> bool:
        """Whether the feed says what a collection has, if only that it is empty."""
        return what in self._named

    def lists(self, what: str) -> bool:
        """Whether the feed gave a collection as a whole, so that what it does not name is gone."""
        return what in self._listed

    def gone(self, what: str) -> dict[str, bool]:
        """Of each object of a collection that the feed names, whether it is gone."""
        return {one: bool(gone) for one, gone in self._database.execute(f"SELECT id, gone FROM {TABLE_OF[what]}")}  # noqa: S608

    def count(self, what: str) -> int:
        """How many of a collection stand."""
        found = self._database.execute(f"SELECT count(*) FROM {TABLE_OF[what]} WHERE NOT gone")  # noqa: S608
        return int(found.fetchone()[0])

    def orphan_judgements(self) -> int:
        """Judgements of submissions that the feed never named."""
        found = self._database.execute(
            "SELECT count(*) FROM judgements WHERE NOT gone AND submission_id NOT IN (SELECT id FROM submissions)"
        )
        return int(found.fetchone()[0])

    def deleted_judgements_of_nobody(self) -> int:
        """Those of which the feed says nothing but that they are deleted."""
        found = self._database.execute("SELECT count(*) FROM judgements WHERE gone AND submission_id IS NULL")
        return int(found.fetchone()[0])

    def has_changes(self) -> bool:
        """Whether anything changed since `settled`."""
        return self.all_changed or self._database.execute("SELECT 1 FROM changed LIMIT 1").fetchone() is not None

    def settled(self) -> None:
        """Whatever changed has been dealt with."""
        self._database.execute("DELETE FROM changed")
        self.all_changed = False

    def earliest_submission(self) -> datetime | None:
        """When the first submission was handed in, of those with an absolute time."""
        found = self._database.execute("SELECT min(time) FROM submissions WHERE NOT gone").fetchone()[0]
        return None if found is None else as_time(found)

    def _set_contest(self, change: FeedChange) -> None:
        said = change.state
        if isinstance(said, list):  # of the collection of contests
            self._require_one_contest(*(item.get("id") for item in said if isinstance(item, dict)))
            said = said[-1] if said and isinstance(said[-1], dict) else None
        self.is_deleted = said is None
        if said is not None:
            self._require_one_contest(said.get("id") or change.id)
            self._contest = said
        self.all_changed = True

    def _require_one_contest(self, *contest_ids: Any) -> None:
        for contest_id in filter(None, contest_ids):
            named = storable(str(contest_id))
            if self.contest_id and named != self.contest_id:
                raise FeedError(
                    f"the feed is of two contests, {readable(self.contest_id)} and {readable(named)}; "
                    "give the feed of one"
                )
            self.contest_id = named

    def _replace_all(self, kind: str, items: list[Any]) -> None:
        table = TABLE_OF[kind]
        named = [(storable(str(item.get("id"))), item) for item in items if isinstance(item, dict)]
        self._database.execute("CREATE TEMP TABLE named (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.executemany("INSERT OR IGNORE INTO named VALUES (?)", ((one,) for one, _ in named))
        gone = self._database.execute(
            f"SELECT id FROM {table} WHERE NOT gone AND id NOT IN (SELECT id FROM named)"  # noqa: S608 - one of ours
        ).fetchall()
        self._database.execute("DROP TABLE named")
        for (object_id,) in gone:
            self._apply_one(kind, object_id, None)
        for object_id, item in named:
            self._apply_one(kind, object_id, item)

    def _apply_one(self, kind: str, object_id: str, state: Any) -> None:
        self._changes += 1
        said = state if isinstance(state, dict) else {}
        gone = not isinstance(state, dict)
        if kind == "judgements":
            self._apply_judgement(object_id, said, gone)
        elif kind == "submissions":
            self._put(kind, object_id, submission_columns(said, gone))
            self._database.execute("INSERT OR IGNORE INTO changed VALUES (?)", (object_id,))
        else:
            self._put(kind, object_id, COLUMNS_OF[kind]({"id": object_id, **said}, gone))
            self.all_changed = True

    def _apply_judgement(self, object_id: str, said: dict[str, Any], gone: bool) -> None:
        known = self._database.execute("SELECT submission_id FROM judgements WHERE id = ?", (object_id,)).fetchone()
        owner = text_of(said.get("submission_id")) or (known and known[0])
        for one in {owner, known and known[0]} - {None}:
            self._database.execute("INSERT OR IGNORE INTO changed VALUES (?)", (one,))
        self._put("judgements", object_id, (owner, *judgement_columns(said, gone, self._changes)))

    def _put(self, kind: str, object_id: str, columns: tuple[Any, ...]) -> None:
        marks = ", ".join("?" * (1 + len(columns)))
        self._database.execute(
            f"INSERT OR REPLACE INTO {TABLE_OF[kind]} VALUES ({marks})",  # noqa: S608 - one of ours
            (object_id, *columns),
        )
