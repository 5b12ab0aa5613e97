"""Publishes what standings say and what was counted from them lacks; what they do not have is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from solve_schemas.events import Event
from solve_sources.ranklists.standings import Standings
from solve_sources.reconciliation.counted import Counted
from solve_sources.reconciliation.reconciling import Publish, Reconciled, Round, reconcile

SOURCE = "/standings/{}"


def source_of(standings: Standings) -> str:
    """The name under which a contest's standings are counted."""
    return SOURCE.format(standings.contest_id)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of the standings counts: `whole` of their contest, and what was handed in since a freeze."""

    whole: bool = True
    respect_freeze: bool = False


def needed(standings: Standings, counted: Counted, current: Round, extent: Extent) -> Iterator[list[Event]]:
    """The events that are missing. What was handed in since a freeze is not taken back while it lasts."""
    since = standings.frozen_since
    yield current.register(standings.users)
    held = {one[:3] for one in standings.solves if extent.respect_freeze and since and one.submitted_at >= since}
    current.spare(held)
    yield current.offer(one for one in standings.solves if one[:3] not in held)
    if extent.whole:
        for page in counted.ledger.unmarked():
            yield current.revoke(
                one for one in page if since is None or one.submitted_at is None or one.submitted_at < since
            )


async def import_standings(
    standings: Standings, counted: Counted, publish: Publish, extent: Extent, *, agreed: bool
) -> Reconciled:
    """Publishes what is missing. Raises TooMuchTakenBack, KeepsChanging and what `publish` raises."""
    return await reconcile(
        lambda current: needed(standings, counted, current, extent),
        counted,
        publish,
        datetime.now(UTC),
        agreed=agreed,
    )
