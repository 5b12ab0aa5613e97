"""The rule of docs/events.md in plain lines: what must stand after some events, in whatever order they came.

An event is a parsed line of an event file. Nothing of the product is imported here, which import-linter checks, so
that the two cannot share a mistake.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

Fields = Mapping[str, Any]
SubmissionKey = tuple[str, str, str]  # user, problem, submission: another user or problem is another submission


class Verdict(NamedTuple):
    """What was last decided of a submission; absent text is the empty string, an absent revision 0."""

    solved: bool
    judged_at: datetime
    submitted_at: datetime | None
    language: str
    contest_id: str
    reason: str
    revision: int


class First(NamedTuple):
    """The submission by which a user first solved a problem."""

    solved_at: datetime
    submission_id: str
    language: str
    contest_id: str


class Solved(NamedTuple):
    """What a user has solved."""

    problems_solved: int
    last_solved_at: datetime


@dataclass(frozen=True, slots=True)
class Model:
    """Each registered user's name and since when, verdicts, those of unknown users, first solves, and counts."""

    names: dict[str, tuple[datetime, str]]
    verdicts: dict[SubmissionKey, Verdict]
    parked: dict[SubmissionKey, Verdict]
    firsts: dict[tuple[str, str], First]  # by user and problem
    solved: dict[str, Solved]

    def board(self) -> list[tuple[str, int, datetime]]:
        """Users with at least one problem, their count and the second of the last solve, in the board's order."""
        found = [
            (user, one.problems_solved, one.last_solved_at.replace(microsecond=0)) for user, one in self.solved.items()
        ]
        return sorted(found, key=lambda row: (-row[1], row[2], row[0].encode()))


def model_of(events: Iterable[Fields]) -> Model:
    """What must stand after these events."""
    registrations: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
    submissions: defaultdict[SubmissionKey, list[Verdict]] = defaultdict(list)
    for event in events:
        if event["type"] == "user.registered.v1":
            registrations[event["user_id"]].append((_time(event["registered_at"]), event["username"]))
        else:
            key = (event["user_id"], event["problem_id"], event["submission_id"])
            submissions[key].append(_verdict(event))
    names = {user_id: max(some) for user_id, some in registrations.items()}
    standing = {key: _standing(verdicts) for key, verdicts in submissions.items()}
    verdicts = {key: verdict for key, verdict in standing.items() if key[0] in names}
    parked = {key: verdict for key, verdict in standing.items() if key[0] not in names}
    firsts = _firsts(verdicts)
    return Model(names, verdicts, parked, firsts, _solved(firsts))


def _verdict(event: Fields) -> Verdict:
    judged_at = _time(event["judged_at"])
    if event["type"] == "submission.revoked.v1":
        return Verdict(False, judged_at, None, "", "", event.get("reason") or "", event.get("revision") or 0)
    submitted_at = _time(event["submitted_at"]) if event.get("submitted_at") else judged_at
    return Verdict(
        True,
        judged_at,
        submitted_at,
        event.get("language") or "",
        event.get("contest_id") or "",
        "",
        event.get("revision") or 0,
    )


def _standing(verdicts: list[Verdict]) -> Verdict:
    """The greatest revision; of those the latest; of those, a revocation before a solve; then the smallest content."""
    revision = max(verdict.revision for verdict in verdicts)
    latest = max(verdict.judged_at for verdict in verdicts if verdict.revision == revision)
    tied = [verdict for verdict in verdicts if (verdict.revision, verdict.judged_at) == (revision, latest)]
    if revoked := [verdict for verdict in tied if not verdict.solved]:
        return min(revoked, key=lambda verdict: verdict.reason)
    return min(tied, key=lambda verdict: (verdict.submitted_at, verdict.language, verdict.contest_id))


def _firsts(verdicts: Mapping[SubmissionKey, Verdict]) -> dict[tuple[str, str], First]:
    """A problem is solved since the first of its submissions that stand as solved was handed in."""
    solves: defaultdict[tuple[str, str], list[First]] = defaultdict(list)
    for (user_id, problem_id, submission_id), verdict in verdicts.items():
        if verdict.submitted_at is not None:
            one = First(verdict.submitted_at, submission_id, verdict.language, verdict.contest_id)
            solves[user_id, problem_id].append(one)
    return {pair: min(some, key=lambda one: (one.solved_at, one.submission_id)) for pair, some in solves.items()}


def _solved(firsts: Mapping[tuple[str, str], First]) -> dict[str, Solved]:
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for (user_id, _), first in firsts.items():
        times[user_id].append(first.solved_at)
    return {user_id: Solved(len(some), max(some)) for user_id, some in times.items()}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
