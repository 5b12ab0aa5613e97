"""Converts a whole event feed where nothing was counted from it before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from solve_schemas.events import Event
from solve_sources.clics.contest import Contest
from solve_sources.clics.feed import feed_changes
from solve_sources.clics.source import ContestSource
from solve_sources.clics.verdicts import Reading, Report
from solve_sources.reconciliation.ledger import Ledger
from solve_sources.reconciliation.reconciling import Round


@dataclass(frozen=True, slots=True)
class Conversion:
    """The events, in the order to publish them, and what was found."""

    events: list[Event]
    report: Report


def convert(lines: Iterable[bytes], name: str, reading: Reading | None = None) -> Conversion:
    """The events of a feed; `name` is for messages. Raises FeedError."""
    with Contest() as contest, Ledger(name) as ledger:
        for change in feed_changes(lines, name):
            contest.apply(change)
        source = ContestSource(contest, reading or Reading(), name)
        pages = source.pages(ledger, Round(ledger, datetime.now(UTC)))
        return Conversion([event for page in pages for event in page], source.report)
