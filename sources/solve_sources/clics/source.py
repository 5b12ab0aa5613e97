"""A contest as a source of events: goes over it beside a round of the ledger, a page at a time."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from solve_schemas.events import Event
from solve_sources.clics.contest import Contest
from solve_sources.clics.partial import Unnamed, is_since
from solve_sources.clics.references import KINDS
from solve_sources.clics.verdicts import Reading, Report, Said, Verdicts
from solve_sources.reconciliation.ledger import Ledger
from solve_sources.reconciliation.reconciling import Round

PAGE = 1_000
DECIDING = KINDS - {"groups"}  # without its group a team is one all the same
Item = TypeVar("Item")


class ContestSource:
    """What a contest says, read in one way."""

    def __init__(self, contest: Contest, reading: Reading, name: str) -> None:
        """`name` is the feed's, for messages."""
        self._contest = contest
        self._reading = reading
        self._name = name
        self.report = Report()
        self.waited_for: set[str] = set()  # by the submissions of the last `changes`

    @property
    def contest_id(self) -> str:
        """The contest's id. Raises FeedError where nobody names it."""
        return self._verdicts(self._reading).report.contest_id

    def pages(self, ledger: Ledger, current: Round) -> Iterator[list[Event]]:
        """The events that the contest as a whole needs; what it does not name is taken back if it is all of it."""
        verdicts = self._verdicts(self._reading)
        yield from self._registrations(verdicts, current)
        for page in pages_of(verdicts.said(self._contest.submissions())):
            yield self._events(page, ledger, current, verdicts.frozen_since)
        if self._reading.whole:
            for missing in ledger.unmarked():
                yield current.revoke(one for one in missing if not is_since(one, verdicts.frozen_since))
        else:
            unnamed = Unnamed(self._contest, verdicts, ledger)
            for orphans in pages_of(self._contest.orphans()):
                yield [event for one in orphans for event in unnamed.rejudged(one, current)]
            for missing in ledger.unmarked():
                yield current.revoke(one for one in missing if unnamed.is_gone(one))
        verdicts.count_all()
        self.report = verdicts.report

    def changes(self, ledger: Ledger, current: Round, *, at_rest: bool) -> Iterator[list[Event]]:
        """The events that changed submissions need, while there may be more to come.

        Not `at_rest`, the feed may be in the middle of its past: then only what this run published is taken back. What
        refers to an object that the feed has not named waits for it; at rest only if the feed names others of its kind.
        """
        awaited = [kind for kind in DECIDING if self._contest.names(kind)] if at_rest else KINDS
        verdicts = self._verdicts(self._reading, awaited)
        only_changed = not self._contest.all_changed
        if not only_changed:
            yield from self._registrations(verdicts, current)
        for page in pages_of(verdicts.said(self._contest.submissions(only_changed))):
            yield self._events(page, ledger, current, verdicts.frozen_since, at_rest=at_rest)
        self.waited_for = verdicts.waited_for

    def unfinished(self) -> "ContestSource":
        """The same contest, of which there may be more to come: what it does not name may be there all the same."""
        return ContestSource(self._contest, replace(self._reading, whole=False), self._name)

    def _verdicts(self, reading: Reading, awaited: Collection[str] = ()) -> Verdicts:
        return Verdicts(self._contest, reading, self._name, awaited)

    def _registrations(self, verdicts: Verdicts, current: Round) -> Iterator[list[Event]]:
        for page in pages_of(verdicts.users(datetime.now(UTC))):
            yield current.register(page)

    def _events(
        self, page: list[Said], ledger: Ledger, current: Round, frozen_since: datetime | None, *, at_rest: bool = True
    ) -> list[Event]:
        is_all_of_it = self._reading.whole or self._contest.lists("judgements")
        events = current.offer(one.solve for one in page if one.solve and not one.held)
        revoke = current.revoke if at_rest else current.revoke_own
        for one in page:
            standing = ledger.of_submission(one.submission_id)
            current.spare(verdict.key for verdict in standing)
            if not one.held and (one.decided or is_all_of_it):
                events += revoke(
                    verdict
                    for verdict in standing
                    if (not one.solve or verdict.key != one.solve[:3]) and not is_since(verdict, frozen_since)
                )
        return events


def pages_of(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Some at a time."""
    iterator = iter(items)
    while page := list(islice(iterator, PAGE)):
        yield page
