"""Publishes the difference between a source and what was counted from it, and looks again afterwards.

A source is offered a page at a time. What it does not name by the end of a round is taken back, if it is whole.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from solve_projector.domain.rule import Verdict, registration_of, verdict_of
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_sources.errors import KeepsChanging, TooMuchTakenBack
from solve_sources.reconciliation.counted import Counted
from solve_sources.reconciliation.difference import registration, revocation, solve_event
from solve_sources.reconciliation.ledger import Ledger
from solve_sources.reconciliation.wanted import WantedSolve, WantedUser

UNASKED_TAKEN_BACK = 10  # so few are taken back without a question, whatever share they are
OF_THIS_RUN = -1  # a partition that no record of the log has
LOOKS = 5  # after the first one finds nothing more unless somebody else publishes as this source
ASKED_SHARE = 10  # more than one in so many is asked
KEPT = 10_000  # events that are kept until it is known whether to ask

Publish = Callable[[list[Event]], Awaitable[object]]


@dataclass(slots=True)
class Reconciled:
    """How many events a reconcile needs, or has published; and of the source's earlier ones, how many are refused."""

    registered: int = 0
    solved: int = 0
    taken_back: int = 0
    dead_letters: int = 0

    @property
    def total(self) -> int:
        """All that were published."""
        return self.registered + self.solved + self.taken_back

    def people(self, would: str = "") -> list[str]:
        """Two lines for people, and a third where events were refused; `would` be done, or was."""
        said = f"{would}published {self.total} events: {self.registered} registrations, {self.solved} solved"
        refused = f"dead letters of this source: {self.dead_letters}; see solve-projector dead-letters list"
        return [said, f"{would}taken back: {self.taken_back}", *([refused] if self.dead_letters else [])]

    def add_all(self, other: "Reconciled") -> None:
        """Counts what another one counted."""
        self.registered += other.registered
        self.solved += other.solved
        self.taken_back += other.taken_back
        self.dead_letters = other.dead_letters

    def add(self, event: Event) -> None:
        """Counts one."""
        if isinstance(event, UserRegistered):
            self.registered += 1
        elif isinstance(event, SubmissionSolved):
            self.solved += 1
        else:
            self.taken_back += 1


class Round:
    """One run over a source, beside the ledger of what was counted from it.

    `of_others` says how many of its solves stand as another source's already, and `other` names one of those.
    """

    def __init__(self, ledger: Ledger, read_at: datetime) -> None:
        self.of_others = 0
        self.other: str | None = None
        self._ledger = ledger
        self._read_at = read_at
        ledger.start_round()

    def register(self, users: Iterable[WantedUser]) -> list[Event]:
        """The registrations that are missing, or say something else."""
        events = (registration(user, self._ledger.user(user.user_id)) for user in users)
        return [event for event in events if event is not None]

    def offer(self, solves: Iterable[WantedSolve]) -> list[Event]:
        """The solves that do not stand yet; all are marked as named by the source."""
        events: list[Event] = []
        named = []
        for solve in solves:
            key = solve[:3]
            named.append(key)
            standing = self._ledger.find(key)
            event = solve_event(solve, standing, self._ledger.source, self._read_at)
            if event is not None:
                events.append(event)
            elif standing and standing.solved and standing.source != self._ledger.source:
                self.of_others += 1
                self.other = standing.source
        self._ledger.mark(named)
        return events

    def spare(self, keys: Iterable[tuple[str, str, str]]) -> None:
        """Leaves what stands of these as it is."""
        self._ledger.mark(keys)

    def revoke_own(self, standing: Iterable[Verdict]) -> list[Event]:
        """Takes back those that this run published."""
        return self.revoke(verdict for verdict in standing if verdict.partition == OF_THIS_RUN)

    def revoke(self, standing: Iterable[Verdict]) -> list[Event]:
        """Takes back those that are solves of this source."""
        return [
            revocation(verdict, self._read_at)
            for verdict in standing
            if verdict.solved and verdict.source == self._ledger.source
        ]


def fold_published(ledger: Ledger, events: Iterable[Event]) -> None:
    """Adds to the ledger what the broker has by now."""
    for event in events:
        if isinstance(event, UserRegistered):
            ledger.fold_registration(event.user_id, registration_of(event))
        elif isinstance(event, SubmissionSolved | SubmissionRevoked):
            ledger.fold(verdict_of(event, OF_THIS_RUN, 0, ledger.source), named=True)


def require_few(taken_back: int, ledger: Ledger, *, agreed: bool) -> None:
    """Raises TooMuchTakenBack where a tenth of what stands of the source would go, and nobody said yes."""
    refusal = None if agreed else refusal_of(taken_back, ledger.solved_of_source(), ledger.source)
    if refusal:
        raise refusal


def refusal_of(taken_back: int, standing: int, source: str) -> TooMuchTakenBack | None:
    """The error where so many of what stands are too many to be taken back unasked."""
    if taken_back <= max(UNASKED_TAKEN_BACK, standing // ASKED_SHARE):
        return None
    return TooMuchTakenBack(
        f"{taken_back} of the {standing} solves counted from {source} would be taken back, which is more "
        "than a tenth; none was. See which with --dry-run; then say --yes, or --partial if this is not all of the "
        "source"
    )


async def reconcile(
    pages: Callable[[Round], Iterator[list[Event]]],
    counted: Counted,
    publish: Publish,
    read_at: datetime,
    *,
    agreed: bool = False,
) -> Reconciled:
    """Publishes what a source needs, and looks again until nothing is missing. Returns what was published.

    `pages` goes over the source once a call, beside a round of the ledger. Raises TooMuchTakenBack before anything is
    published, KeepsChanging, and what `publish` and the log's readers raise.
    """
    ledger, done = counted.ledger, Reconciled(dead_letters=counted.dead_letters)
    await counted.require_lock()
    await counted.catch_up()
    found = pages(Round(ledger, read_at))
    if not agreed and ledger.solved_of_source() > UNASKED_TAKEN_BACK:
        found = await _few_or_again(found, lambda: pages(Round(ledger, read_at)), ledger)
    for _ in range(LOOKS):
        before = done.total
        for page in found:
            await publish_page(page, publish, ledger, done)
        if not await counted.catch_up():  # of what was published here the ledger knows
            return done
        found = pages(Round(ledger, read_at))
    if done.total == before:  # whatever else changes, this source says nothing else
        return done
    raise KeepsChanging(said_of_another(ledger.source))


async def _few_or_again(
    found: Iterator[list[Event]], again: Callable[[], Iterator[list[Event]]], ledger: Ledger
) -> Iterator[list[Event]]:
    """The pages, once it is known that few are taken back; a source that needs much is gone over `again` for them."""
    needed, kept = Reconciled(), []
    for page in found:
        for event in page:
            needed.add(event)
        if needed.total <= KEPT:
            kept.append(page)
        await asyncio.sleep(0)
    require_few(needed.taken_back, ledger, agreed=False)
    return iter(kept) if needed.total <= KEPT else again()


async def take_back_unnamed(counted: Counted, current: Round, publish: Publish, *, agreed: bool = False) -> int:
    """Takes back what the source did not name in a round that is over, until the log has no more of it; how many.

    Raises TooMuchTakenBack, KeepsChanging, and what `publish` and the log's readers raise.
    """
    ledger, total = counted.ledger, 0
    require_few(total_of(current.revoke(page) for page in ledger.unmarked()).taken_back, ledger, agreed=agreed)
    for _ in range(LOOKS):
        await counted.catch_up()
        before = total
        for page in ledger.unmarked():
            await publish(events := current.revoke(page))
            total += len(events)
        if total == before:
            return total
    raise KeepsChanging(said_of_another(ledger.source))


def said_of_another(source: str) -> str:
    """What to do about another program that publishes as a source."""
    return (
        f"somebody else keeps publishing as {source} what its source does not say; find who does, or give this import "
        "a --source of its own"
    )


def total_of(pages: Iterable[list[Event]]) -> Reconciled:
    """How many events these are."""
    needed = Reconciled()
    for page in pages:
        for event in page:
            needed.add(event)
    return needed


async def publish_page(page: list[Event], publish: Publish, ledger: Ledger, done: Reconciled) -> None:
    """Publishes a page, and counts it once the broker has it."""
    await asyncio.sleep(0)  # of a large source most pages need nothing, and others are to go on meanwhile
    if page:
        await publish(page)
        fold_published(ledger, page)
        for event in page:
            done.add(event)
