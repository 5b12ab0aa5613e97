"""The events that make what was counted from a source what it says. Pure.

A source decides about its own verdicts alone: what another source or a live client said is left to the rule. An event
that reconciles keeps the standing revision, and is later than what it replaces and not before the source was read.
"""

from datetime import datetime
from typing import NamedTuple

from solve_projector.domain.rule import Verdict
from solve_schemas.events import SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_sources.reconciliation.scratch import TICK
from solve_sources.reconciliation.wanted import WantedSolve, WantedUser

NOT_SOLVED = "not solved in its source any more"


class KnownUser(NamedTuple):
    """What the log says of a user; without `exists` only that they were removed."""

    exists: bool
    registered_at: datetime | None
    username: str
    listed: bool
    removed_at: datetime | None


def solve_event(
    wanted: WantedSolve, standing: Verdict | None, source: str, read_at: datetime
) -> SubmissionSolved | None:
    """The event that makes a solve stand; None where it does, or where another source's verdict is to stand."""
    revision, judged_at = wanted.revision, wanted.judged_at
    if standing is not None:
        newer = (revision, judged_at) > (standing.revision, standing.judged_at)
        if not newer and (standing.source != source or _says(standing, wanted)):
            return None
        if not newer:
            revision, judged_at = standing.revision, later(read_at, standing.judged_at)
    return SubmissionSolved(
        submission_id=wanted.submission_id,
        user_id=wanted.user_id,
        problem_id=wanted.problem_id,
        judged_at=judged_at,
        submitted_at=wanted.submitted_at,
        language=wanted.language or None,
        contest_id=wanted.contest_id or None,
        revision=revision or None,
    )


def revocation(standing: Verdict, read_at: datetime) -> SubmissionRevoked:
    """The event that takes a standing solve back."""
    return SubmissionRevoked(
        submission_id=standing.submission_id,
        user_id=standing.user_id,
        problem_id=standing.problem_id,
        judged_at=later(read_at, standing.judged_at),
        reason=NOT_SOLVED,
        revision=standing.revision or None,
    )


def registration(wanted: WantedUser, known: KnownUser | None) -> UserRegistered | None:
    """The event that registers a user, or says what changed; None where nothing did, or where they are removed."""
    registered_at, listed = wanted.registered_at, wanted.listed
    if known is not None:
        listed = known.listed if listed is None else listed
        if known.exists and (known.username, known.listed) == (wanted.username, listed):
            return None
        if known.removed_at is not None and known.removed_at >= (known.registered_at or known.removed_at):
            if known.exists:
                return None
            registered_at = min(registered_at, known.removed_at)  # known, and removed all the same
        elif known.registered_at is not None:
            registered_at = max(registered_at, known.registered_at + TICK)
    return UserRegistered(
        user_id=wanted.user_id,
        username=wanted.username,
        registered_at=registered_at,
        listed=False if listed is False else None,
    )


def later(read_at: datetime, standing_at: datetime) -> datetime:
    """The time of an event that replaces one of `standing_at`."""
    return max(read_at, standing_at + TICK)


def _says(standing: Verdict, wanted: WantedSolve) -> bool:
    return standing.solved and (standing.submitted_at, standing.language, standing.contest_id) == (
        wanted.submitted_at,
        wanted.language,
        wanted.contest_id,
    )
