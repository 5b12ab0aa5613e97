"""A contest as its feed says it stands: of each object the latest state, whatever order the changes came in.

Kept in a temporary database, so that memory grows neither with the feed nor with time. Only what verdicts and users
depend on is kept; a deleted object is remembered as gone.
"""

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self

from solve_sources.clics.feed import FeedChange
from solve_sources.clics.times import parse_relative_time, parse_time
from solve_sources.reconciliation.scratch import TICK, as_time, in_microseconds, open_scratch, storable

LONGEST_CONTEST = timedelta(days=36_500)  # what is longer is no time of a contest, and may be too large to keep
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
JUDGED = """
SELECT
    submissions.id, submissions.team_id, submissions.problem_id, submissions.language_id, submissions.time,
    submissions.contest_time, submissions.gone,
    coalesce(teams.gone, -1), coalesce(problems.gone, -1),
    judgements.id, judgements.type_id, judgements.start_time, judgements.start_contest_time, judgements.end_time,
    judgements.end_contest_time, judgements.stands, judgements.change,
    coalesce(judgement_types.solved AND NOT judgement_types.gone, -1)
FROM submissions
LEFT JOIN teams ON teams.id = submissions.team_id
LEFT JOIN problems ON problems.id = submissions.problem_id
LEFT JOIN judgements ON judgements.submission_id = submissions.id AND NOT judgements.gone
LEFT JOIN judgement_types ON judgement_types.id = judgements.type_id
"""


class Schedule(NamedTuple):
    """When the contest runs, and whether its scoreboard is frozen; None where the feed does not say."""

    start: datetime | None = None
    end: datetime | None = None
    frozen_since: datetime | None = None

    def moment(self, absolute: int | None, relative: int | None) -> datetime | None:
        """A time that is given as such, or as one since the start."""
        if absolute is not None:
            return as_time(absolute)
        if relative is None or self.start is None:
            return None
        try:
            time = self.start + relative * TICK
        except OverflowError:
            return None
        return time if time >= as_time(0) else None


class Team(NamedTuple):
    """A team as it stands."""

    id: str
    name: str
    hidden: bool


class Judgement(NamedTuple):
    """A judgement that was not deleted; `solved` is None where its type is unknown."""

    type_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    stands: bool
    change: int
    solved: bool | None


class Submission(NamedTuple):
    """A submission as it stands; of its team and its problem whether the feed names them: None if it never did."""

    id: str
    team_id: str | None
    problem_id: str | None
    language_id: str | None
    submitted_at: datetime | None
    gone: bool
    has_team: bool | None
    has_problem: bool | None
    judgements: list[Judgement]


class Contest:
    """The state of one contest, and which submissions changed since they were last asked for."""

    def __init__(self) -> None:
        self._database = open_scratch(TABLES)
        self._contest: dict[str, Any] = {}
        self._state: dict[str, Any] = {}
        self._changes = 0
        self.contest_id = ""
        self.all_changed = False  # something that every verdict may depend on

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._database.close()

    def apply(self, change: FeedChange) -> None:
        """One object's state from here on, or with an id of None a whole collection: what it does not name is gone."""
        if change.type == "contest":
            self._set_contest(change)
        elif change.type == "state":
            self._state = change.state if isinstance(change.state, dict) else {}
            self.all_changed = True
        elif change.type in TABLE_OF:
            if isinstance(change.state, list):
                self._replace_all(change.type, change.state)
            elif change.id is not None:
                self._apply_one(change.type, change.id, change.state)

    def forget_unnamed(self) -> None:
        """Before a feed that is sent anew from its beginning: whatever it does not name is gone."""
        for table in TABLE_OF.values():
            self._database.execute(f"UPDATE {table} SET gone = 1")  # noqa: S608 - one of ours
        self._database.execute("INSERT OR REPLACE INTO judgement_types VALUES ('AC', 1, 0)")
        self.all_changed = True

    @property
    def schedule(self) -> Schedule:
        """From the contest and its state."""
        start = parse_time(self._contest.get("start_time"))
        duration = parse_relative_time(self._contest.get("duration"))
        end = start + duration if start is not None and duration is not None else None
        return Schedule(start, end, self._frozen_since(end))

    def _frozen_since(self, end: datetime | None) -> datetime | None:
        frozen = parse_time(self._state.get("frozen"))
        if frozen is None or self._state.get("thawed") is not None:
            return None
        before_end = parse_relative_time(self._contest.get("scoreboard_freeze_duration"))
        return end - before_end if end is not None and before_end is not None else frozen

    def teams(self) -> Iterator[Team]:
        """Those that stand, by id."""
        hidden_groups = {row[0] for row in self._database.execute("SELECT id FROM groups WHERE hidden AND NOT gone")}
        for team_id, name, hidden, group_ids in self._database.execute(
            "SELECT id, name, hidden, group_ids FROM teams WHERE NOT gone ORDER BY id"
        ):
            in_hidden_group = not hidden_groups.isdisjoint(json.loads(group_ids))
            yield Team(team_id, name, bool(hidden) or in_hidden_group)

    def submissions(self, only_changed: bool = False) -> Iterator[Submission]:
        """All of them by id, also deleted ones, or those that changed since `settled`."""
        where = "WHERE submissions.id IN (SELECT id FROM changed)" if only_changed else ""
        rows = self._database.execute(f"{JUDGED} {where} ORDER BY submissions.id, judgements.change")
        schedule = self.schedule
        current: Submission | None = None
        for row in rows:
            if current is None or current.id != row[0]:
                if current is not None:
                    yield current
                current = _submission_of(row, schedule)
            if row[9] is not None:
                current.judgements.append(_judgement_of(row, schedule))
        if current is not None:
            yield current

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
        if isinstance(change.state, dict):
            self._contest = change.state
            self.contest_id = str(change.state.get("id") or change.id or "")
            self.all_changed = True

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
            self._put(kind, object_id, _submission_columns(said, gone))
            self._database.execute("INSERT OR IGNORE INTO changed VALUES (?)", (object_id,))
        else:
            self._put(kind, object_id, COLUMNS_OF[kind](said, gone))
            self.all_changed = True

    def _apply_judgement(self, object_id: str, said: dict[str, Any], gone: bool) -> None:
        known = self._database.execute("SELECT submission_id FROM judgements WHERE id = ?", (object_id,)).fetchone()
        owner = _text(said.get("submission_id")) or (known and known[0])
        for one in {owner, known and known[0]} - {None}:
            self._database.execute("INSERT OR IGNORE INTO changed VALUES (?)", (one,))
        self._put("judgements", object_id, (owner, *_judgement_columns(said, gone, self._changes)))

    def _put(self, kind: str, object_id: str, columns: tuple[Any, ...]) -> None:
        marks = ", ".join("?" * (1 + len(columns)))
        self._database.execute(
            f"INSERT OR REPLACE INTO {TABLE_OF[kind]} VALUES ({marks})",  # noqa: S608 - one of ours
            (object_id, *columns),
        )


def _team_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    name = said.get("display_name") or said.get("name") or ""
    groups = said.get("group_ids")
    ids = [storable(str(one)) for one in groups] if isinstance(groups, list) else []
    return (storable(str(name)), said.get("hidden") is True, json.dumps(ids), gone)


def _group_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    return (said.get("hidden") is True, gone)


def _problem_columns(_: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    return (gone,)


def _type_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    return (said.get("solved") is True, gone)


COLUMNS_OF = {
    "teams": _team_columns,
    "groups": _group_columns,
    "problems": _problem_columns,
    "judgement-types": _type_columns,
}


def _submission_columns(said: dict[str, Any], gone: bool) -> tuple[Any, ...]:
    ids = (_text(said.get(name)) for name in ("team_id", "problem_id", "language_id"))
    return (*ids, *_times(said, "time", "contest_time"), gone)


def _judgement_columns(said: dict[str, Any], gone: bool, change: int) -> tuple[Any, ...]:
    stands = said.get("current") is not False and said.get("valid") is not False
    times = _times(said, "start_time", "start_contest_time", "end_time", "end_contest_time")
    return (_text(said.get("judgement_type_id")), *times, stands, change, gone)


def _text(value: Any) -> str | None:
    return None if value is None else storable(str(value))


def _times(said: dict[str, Any], *names: str) -> Iterator[int | None]:
    """In microseconds, since 1970 or since the start; None where one is missing or unusable."""
    for name in names:
        if name.endswith("contest_time"):
            relative = parse_relative_time(said.get(name))
            yield None if relative is None or abs(relative) > LONGEST_CONTEST else relative // TICK
        else:
            absolute = parse_time(said.get(name))
            yield None if absolute is None or absolute < as_time(0) else in_microseconds(absolute)


def _submission_of(row: sqlite3.Row, schedule: Schedule) -> Submission:
    return Submission(
        row[0],
        row[1],
        row[2],
        row[3],
        submitted_at=schedule.moment(row[4], row[5]),
        gone=bool(row[6]),
        has_team=None if row[7] < 0 else not row[7],
        has_problem=None if row[8] < 0 else not row[8],
        judgements=[],
    )


def _judgement_of(row: sqlite3.Row, schedule: Schedule) -> Judgement:
    return Judgement(
        type_id=row[10],
        started_at=schedule.moment(row[11], row[12]),
        ended_at=schedule.moment(row[13], row[14]),
        stands=bool(row[15]),
        change=row[16],
        solved=None if row[17] < 0 else bool(row[17]),
    )
