"""The objects of a contest as they stand, and how they are read from its database."""

import sqlite3
from datetime import datetime, timedelta
from typing import NamedTuple

from solve_sources.clics.schedule import Schedule
from solve_sources.reconciliation.scratch import TICK

JUDGED = """
SELECT
    submissions.id, submissions.team_id, submissions.problem_id, submissions.language_id, submissions.time,
    submissions.contest_time, submissions.gone,
    EXISTS (
        SELECT 1 FROM judgements
        WHERE submission_id = submissions.id AND (gone OR NOT stands OR type_id IS NOT NULL)
    ),
    coalesce(teams.gone, -1), coalesce(problems.gone, -1),
    judgements.id, judgements.type_id, judgements.start_time, judgements.start_contest_time, judgements.end_time,
    judgements.end_contest_time, judgements.stands, judgements.change,
    coalesce(judgement_types.solved AND NOT judgement_types.gone, -1)
FROM {submissions}
LEFT JOIN teams ON teams.id = submissions.team_id
LEFT JOIN problems ON problems.id = submissions.problem_id
LEFT JOIN judgements ON judgements.submission_id = submissions.id AND NOT judgements.gone
LEFT JOIN judgement_types ON judgement_types.id = judgements.type_id
"""

# named by judgements alone
ORPHANS = """(
    SELECT DISTINCT
        submission_id AS id, NULL AS team_id, NULL AS problem_id, NULL AS language_id, NULL AS time,
        NULL AS contest_time, 0 AS gone
    FROM judgements
    WHERE submission_id IS NOT NULL AND submission_id NOT IN (SELECT id FROM submissions)
) AS submissions"""


class Team(NamedTuple):
    """A team as it stands."""

    id: str
    name: str
    hidden: bool
    has_groups: bool  # the feed names all of its groups, if only as deleted


class Judgement(NamedTuple):
    """A judgement that was not deleted; `solved` is None where its type is unknown."""

    type_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    stands: bool
    change: int
    solved: bool | None
    id: str
    unusable_end: str  # why, if it has a type and no time at which it ended


class Submission(NamedTuple):
    """A submission as it stands; of its team and its problem whether the feed names them: None if it never did."""

    id: str
    team_id: str | None
    problem_id: str | None
    language_id: str | None
    submitted_at: datetime | None
    since_start: timedelta | None
    gone: bool
    was_judged: bool  # or was, and that stands no more
    has_team: bool | None
    has_problem: bool | None
    judgements: list[Judgement]
    unusable_time: str  # why, if it has no time


def submission_of(row: sqlite3.Row, schedule: Schedule, contest_is_deleted: bool) -> Submission:
    """From a row of `JUDGED`; its judgements are still to be added."""
    submitted_at = schedule.moment(row[4], row[5])
    return Submission(
        row[0],
        row[1],
        row[2],
        row[3],
        submitted_at=submitted_at,
        since_start=None if row[5] is None else row[5] * TICK,
        gone=bool(row[6]) or contest_is_deleted,
        was_judged=bool(row[7]),
        has_team=None if row[8] < 0 else not row[8],
        has_problem=None if row[9] < 0 else not row[9],
        judgements=[],
        unusable_time="" if submitted_at else schedule.why_unusable(row[4], row[5]),
    )


def judgement_of(row: sqlite3.Row, schedule: Schedule) -> Judgement:
    """From a row of `JUDGED` that has one."""
    ended_at = schedule.moment(row[14], row[15])
    return Judgement(
        type_id=row[11],
        started_at=schedule.moment(row[12], row[13]),
        ended_at=ended_at,
        stands=bool(row[16]),
        change=row[17],
        solved=None if row[18] < 0 else bool(row[18]),
        id=row[10],
        unusable_end="" if ended_at else schedule.why_unusable(row[14], row[15]),
    )
