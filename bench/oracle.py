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


class User(NamedTuple):
    """What is known of a registered user. An erased one has no name, and is as listed as anybody."""

    registered_at: datetime
    username: str
    listed: bool
    removed: bool


class Removal(NamedTuple):
    """When and why a user was removed at last, and when with an erasure."""

    removed_at: datetime
    reason: str
    erased_at: datetime | None


class Problem(NamedTuple):
    """What was last decided of a problem."""

    decided_at: datetime
    withdrawn: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Model:
    """Registered users, removals of anybody, facts about problems, verdicts, those of unknown users, first solves, and
    counts.
    """

    users: dict[str, User]
    removals: dict[str, Removal]
    problems: dict[str, Problem]
    verdicts: dict[SubmissionKey, Verdict]
    parked: dict[SubmissionKey, Verdict]
    firsts: dict[tuple[str, str], First]  # by user and problem
    solved: dict[str, Solved]

    def board(self) -> list[tuple[str, int, datetime]]:
        """Users with at least one problem, their count and the second of the last solve, in the board's order."""
        found = [
            (user, one.problems_solved, one.last_solved_at.replace(microsecond=0))
            for user, one in self.solved.items()
            if self.users[user].listed and not self.users[user].removed
        ]
        return sorted(found, key=lambda row: (-row[1], row[2], row[0].encode()))


def model_of(events: Iterable[Fields]) -> Model:
    """What must stand after these events."""
    registrations: defaultdict[str, list[Fields]] = defaultdict(list)
    removed: defaultdict[str, list[Fields]] = defaultdict(list)
    decided: defaultdict[str, list[Fields]] = defaultdict(list)
    submissions: defaultdict[SubmissionKey, list[Verdict]] = defaultdict(list)
    for event in events:
        if event["type"] == "user.registered.v1":
            registrations[event["user_id"]].append(event)
        elif event["type"] == "user.removed.v1":
            removed[event["user_id"]].append(event)
        elif event["type"].startswith("problem."):
            decided[event["problem_id"]].append(event)
        else:
            key = (event["user_id"], event["problem_id"], event["submission_id"])
            submissions[key].append(_verdict(event))
    removals = {user_id: _removal(some) for user_id, some in removed.items()}
    users = {user_id: _user(some, removals.get(user_id)) for user_id, some in registrations.items()}
    standing = {key: _standing(verdicts) for key, verdicts in submissions.items()}
    verdicts = {key: verdict for key, verdict in standing.items() if key[0] in users}
    parked = {key: verdict for key, verdict in standing.items() if key[0] not in users}
    problems = {problem_id: _problem(some) for problem_id, some in decided.items()}
    firsts = _firsts(verdicts)
    counting = {
        pair: first for pair, first in firsts.items() if not (pair[1] in problems and problems[pair[1]].withdrawn)
    }
    return Model(users, removals, problems, verdicts, parked, firsts, _solved(counting))


def _problem(events: list[Fields]) -> Problem:
    """What was decided last; of one time, that it is withdrawn, and of those the smallest reason."""
    decided = [
        (_time(event.get("withdrawn_at") or event["restored_at"]), event["type"] == "problem.withdrawn.v1", event)
        for event in events
    ]
    last = max(one[:2] for one in decided)
    return Problem(*last, min(event.get("reason") or "" for *when, event in decided if tuple(when) == last))


def _removal(events: list[Fields]) -> Removal:
    """Why is the smallest of what is said of the last time."""
    last = max(_time(event["removed_at"]) for event in events)
    reason = min(event.get("reason") or "" for event in events if _time(event["removed_at"]) == last)
    erased = [_time(event["removed_at"]) for event in events if event.get("erase")]
    return Removal(last, reason, max(erased) if erased else None)


def _user(events: list[Fields], removal: Removal | None) -> User:
    """The last registration, of one time an unlisted one before others and then the greatest name."""
    registered_at = max(_time(event["registered_at"]) for event in events)
    tied = [event for event in events if _time(event["registered_at"]) == registered_at]
    unlisted = [event for event in tied if event.get("listed") is False]
    username = max(event.get("username") or "" for event in unlisted or tied)
    if removal is None or removal.removed_at < registered_at:
        return User(registered_at, username, not unlisted, removed=False)
    if removal.erased_at is None or removal.erased_at < registered_at:
        return User(registered_at, username, not unlisted, removed=True)
    return User(registered_at, "", listed=True, removed=True)


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
