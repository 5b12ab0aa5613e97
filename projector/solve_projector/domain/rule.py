"""The rule: which verdict of a submission stands, what a user is called and who sees them, which problems count, and
what a user has solved.

It is a join (a maximum by content, never by arrival), so any order and any duplication of the same events gives the
same result (I1). `store/sql/verdict_rows.sql` states it in SQL; tests compare the two.
"""

from collections.abc import Container, Iterable
from datetime import UTC, datetime
from typing import NamedTuple, TypeGuard

from solve_schemas.events import (
    ProblemRestored,
    ProblemWithdrawn,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)

SomeVerdict = SubmissionSolved | SubmissionRevoked
VerdictKey = tuple[str, str, str]


class Verdict(NamedTuple):
    """One row of `verdicts`: the verdict on a submission, and its provenance: its place in the log, and its source.

    `submitted_at` is None if and only if it is not solved; absent text is the empty string.
    """

    user_id: str
    problem_id: str
    submission_id: str
    solved: bool
    judged_at: datetime
    submitted_at: datetime | None
    language: str
    contest_id: str
    reason: str
    partition: int
    offset: int
    revision: int
    source: str  # CloudEvents'; empty where none is kept

    @property
    def key(self) -> VerdictKey:
        """Identifies the submission. The same id with another user or problem is another submission."""
        return (self.user_id, self.problem_id, self.submission_id)

    @property
    def type_name(self) -> str:
        """Of the event that decided it."""
        return SubmissionSolved.type_name if self.solved else SubmissionRevoked.type_name


class Registration(NamedTuple):
    """What a user is called and whether they are on boards, and since when; the greatest stands."""

    registered_at: datetime
    unlisted: bool
    username: str  # empty where the log says none: the smallest of its time


class Removal(NamedTuple):
    """The latest removal of a user, and of those that erase the name the latest."""

    removed_at: datetime
    reason: str
    erased_at: datetime | None


class ProblemFact(NamedTuple):
    """Whether a problem counts for anybody, and since when."""

    decided_at: datetime
    withdrawn: bool
    reason: str


class UserState(NamedTuple):
    """What follows from a user's facts."""

    username: str
    listed: bool
    removed: bool
    erased: bool


class Solved(NamedTuple):
    """What a profile and the leaderboard show of a user."""

    problems_solved: int
    last_solved_at: datetime | None


def verdict_of(event: SubmissionSolved | SubmissionRevoked, partition: int, offset: int, source: str = "") -> Verdict:
    """An event as a row, with its times in UTC: PostgreSQL's text knows no zone beyond +15:59."""
    judged_at = event.judged_at.astimezone(UTC)
    if isinstance(event, SubmissionSolved):
        submitted_at = event.submitted_at.astimezone(UTC) if event.submitted_at else judged_at
        language, contest_id, reason = event.language or "", event.contest_id or "", ""
    else:
        submitted_at, language, contest_id, reason = None, "", "", event.reason or ""
    return Verdict(
        event.user_id,
        event.problem_id,
        event.submission_id,
        submitted_at is not None,
        judged_at,
        submitted_at,
        language,
        contest_id,
        reason,
        partition,
        offset,
        event.revision or 0,
        source,
    )


def is_verdict(said: object) -> TypeGuard[Verdict | SomeVerdict]:
    """Whether an event is one on a submission, whichever decoder read it."""
    return isinstance(said, Verdict | SubmissionSolved | SubmissionRevoked)


def beats(challenger: Verdict, standing: Verdict) -> bool:
    """Whether `challenger` replaces `standing`, a verdict of the same submission.

    The greatest revision wins, then the latest judgement; on a tie, revoked; then the smaller content; then the smaller
    place in the log.
    """
    if challenger.revision != standing.revision:
        return challenger.revision > standing.revision
    if challenger.judged_at != standing.judged_at:
        return challenger.judged_at > standing.judged_at
    if challenger.solved != standing.solved:
        return standing.solved
    return _tie_break(challenger) < _tie_break(standing)


def _tie_break(verdict: Verdict) -> tuple[datetime, str, str, str, int, int]:
    # code points order like UTF-8 bytes, and so like the columns' collation "C"
    return (verdict.submitted_at or verdict.judged_at, *verdict[6:11])


def fold_verdict(standing: dict[VerdictKey, Verdict], verdict: Verdict) -> Verdict | None:
    """Replaces the standing verdict of a submission where `verdict` beats it.

    Returns the one that lost by the clock alone: of the same revision, and judged earlier.
    """
    key = verdict[:3]
    current = standing.setdefault(key, verdict)
    if current is verdict:
        return None
    if beats(verdict, current):
        standing[key], verdict, current = verdict, current, verdict
    by_the_clock = verdict.revision == current.revision and verdict.judged_at < current.judged_at
    return verdict if by_the_clock else None


def losing_verdicts(verdicts: Iterable[Verdict]) -> list[tuple[Verdict, Verdict]]:
    """Each verdict that came later in its partition than one of its revision that was judged later, with that one.

    A redelivery is none: it stood, or was judged earlier, when it came for the first time.
    """
    standing: dict[VerdictKey, Verdict] = {}
    seen: set[tuple[VerdictKey, datetime, bool]] = set()
    found = []
    for verdict in sorted(verdicts, key=lambda one: (one.partition, one.offset)):
        same = verdict.key, verdict.judged_at, verdict.solved
        if fold_verdict(standing, verdict) is verdict and same not in seen:
            winner = standing[verdict.key]
            if winner.partition == verdict.partition:
                found.append((verdict, winner))
        seen.add(same)
    return found


def registration_of(event: UserRegistered) -> Registration:
    """An event as a fact."""
    return Registration(event.registered_at, event.listed is False, event.username or "")


def removal_of(event: UserRemoved) -> Removal:
    """An event as a fact."""
    return Removal(event.removed_at, event.reason or "", event.removed_at if event.erase else None)


def fold_registration(registrations: dict[str, Registration], user_id: str, registration: Registration) -> None:
    """Keeps the latest registration of a user; of one time the unlisted one, then the greater name."""
    registrations[user_id] = max(registration, registrations.get(user_id, registration))


def fold_removal(removals: dict[str, Removal], user_id: str, removal: Removal) -> None:
    """Keeps the latest removal of a user, of one time the smaller reason; and the latest erasure apart."""
    one, other = removal, removals.get(user_id, removal)
    first, last = sorted((one, other), key=lambda each: each.removed_at)
    reason = last.reason if first.removed_at < last.removed_at else min(one.reason, other.reason)
    erasures = [each.erased_at for each in (one, other) if each.erased_at]
    removals[user_id] = Removal(last.removed_at, reason, max(erasures, default=None))


def problem_fact_of(event: ProblemWithdrawn | ProblemRestored) -> ProblemFact:
    """An event as a fact."""
    return ProblemFact(event.happened_at, isinstance(event, ProblemWithdrawn), event.reason or "")


def fold_problem_fact(facts: dict[str, ProblemFact], problem_id: str, fact: ProblemFact) -> None:
    """Keeps the latest fact of a problem; of one time withdrawn, then the smaller reason."""
    standing = facts.setdefault(problem_id, fact)
    if fact[:2] > standing[:2] or (fact[:2] == standing[:2] and fact.reason < standing.reason):
        facts[problem_id] = fact


def state_of(registration: Registration, removal: Removal | None) -> UserState:
    """A registration as late as a removal loses to it. Of an erased user name and listing are the defaults."""
    removed = removal is not None and removal.removed_at >= registration.registered_at
    erased = removal is not None and removal.erased_at is not None and removal.erased_at >= registration.registered_at
    if erased:
        return UserState("", listed=True, removed=removed, erased=True)
    return UserState(registration.username, not registration.unlisted, removed, erased=False)


def count(verdicts: Iterable[Verdict], withdrawn: Container[str] = ()) -> dict[str, Solved]:
    """Counts of each user with a solved problem, from standing verdicts; the last solve is the latest first solve.

    `withdrawn` problems count for nobody.
    """
    solved: dict[str, Solved] = {}
    for (user_id, problem_id), first in first_solves(verdicts).items():
        if problem_id in withdrawn:
            continue
        problems, last = solved.get(user_id, Solved(0, None))
        solved[user_id] = Solved(problems + 1, max(filter(None, (first.submitted_at, last))))
    return solved


def first_solves(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Verdict]:
    """By user and problem, the standing solve that was handed in first; of those of one time the smaller submission."""
    firsts: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        if verdict.solved:
            first = firsts.setdefault((verdict.user_id, verdict.problem_id), verdict)
            firsts[verdict.user_id, verdict.problem_id] = min(first, verdict, key=_order_of_solves)
    return firsts


def _order_of_solves(verdict: Verdict) -> tuple[datetime | None, str]:
    return verdict.submitted_at, verdict.submission_id


def whole_seconds(time: datetime) -> int:
    """Epoch seconds, rounded down."""
    return int(time.timestamp() // 1)
