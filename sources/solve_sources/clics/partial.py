"""Rejudgings and removals in a partial feed, of submissions that it does not have: what was counted knows whose.

Only what follows for certain is taken back. The rest is counted as undecided, for a person to give more of the feed.
"""

from datetime import datetime

from solve_projector.domain.rule import Verdict
from solve_schemas.events import Event
from solve_sources.clics.contest import Contest
from solve_sources.clics.objects import Judgement, Submission
from solve_sources.clics.verdicts import Verdicts
from solve_sources.reconciliation.ledger import Ledger
from solve_sources.reconciliation.reconciling import Round


class Unnamed:
    """The submissions of one round over a contest that is not whole."""

    def __init__(self, contest: Contest, verdicts: Verdicts, ledger: Ledger) -> None:
        self._verdicts = verdicts
        self._ledger = ledger
        self._users, self._problems = (
            {verdicts.named(one): gone for one, gone in contest.gone(kind).items()} for kind in ("teams", "problems")
        )
        self._lists_users, self._lists_problems = contest.lists("teams"), contest.lists("problems")
        self._none_is_left = contest.is_deleted or contest.lists("submissions")
        self._all_judgements = contest.lists("judgements")
        if not self._all_judgements:
            verdicts.report.undecided_judgements += contest.deleted_judgements_of_nobody()

    def is_gone(self, standing: Verdict) -> bool:
        """Whether a solve that nothing in the feed named is to be taken back."""
        removed = self._all_judgements or self._is_removed(standing)
        return removed and not is_since(standing, self._verdicts.frozen_since)

    def rejudged(self, submission: Submission, current: Round) -> list[Event]:
        """The events that follow from the judgements of a submission; it says nothing else."""
        known = self._ledger.of_submission(self._verdicts.named(submission.id))
        left = [one for one in known if not self._is_removed(one)]
        latest = self._verdicts.latest(submission)
        if self._none_is_left or (known and not left):
            return []
        solved = [one for one in left if one.solved]
        if latest is not None and latest.solved:
            self._verdicts.report.undecided_judgements += not solved
            current.spare(one.key for one in solved)
            return []
        own = [one for one in solved if one.source == self._ledger.source]
        own = [one for one in own if not is_since(one, self._verdicts.frozen_since)]
        if not own or not (self._all_judgements or submission.was_judged):
            return []
        if not self._all_judgements and not _is_later(latest, own):
            self._verdicts.report.undecided_judgements += 1
            return []
        current.spare(one.key for one in own)
        return current.revoke(own)

    def _is_removed(self, standing: Verdict) -> bool:
        """Whether its contest, team or problem is gone, or it is missing from all of the submissions."""
        return (
            self._none_is_left
            or self._users.get(standing.user_id, self._lists_users)
            or self._problems.get(standing.problem_id, self._lists_problems)
        )


def is_since(standing: Verdict, moment: datetime | None) -> bool:
    """Whether a verdict is of something handed in at a moment or later."""
    return moment is not None and standing.submitted_at is not None and standing.submitted_at >= moment


def _is_later(latest: Judgement | None, counted: list[Verdict]) -> bool:
    """Whether it is none that was overruled by the one which was counted."""
    ended_at = None if latest is None else latest.ended_at
    return ended_at is not None and all(ended_at >= one.judged_at for one in counted)
