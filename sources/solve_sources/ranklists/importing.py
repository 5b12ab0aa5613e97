"""Publishes what standings say and what was counted from them lacks; what they do not have is taken back."""

from collections.abc import Iterator
from datetime import UTC, datetime

from solve_schemas.events import Event
from solve_sources.ranklists.standings import Standings
from solve_sources.reconciliation.counted import Counted
from solve_sources.reconciliation.reconciling import Publish, Reconciled, Round, reconcile

SOURCE = "/standings/{}"


def source_of(standings: Standings) -> str:
    """The name under which a contest's standings are counted."""
    return SOURCE.format(standings.contest_id)


def needed(standings: Standings, counted: Counted, current: Round, *, whole: bool) -> Iterator[list[Event]]:
    """The events that are missing. What was handed in since a freeze is left as it stands."""
    yield current.register(standings.users)
    yield current.offer(standings.solves)
    if whole:
        since = standings.frozen_since
        for page in counted.ledger.unmarked():
            yield current.revoke(
                one for one in page if since is None or one.submitted_at is None or one.submitted_at < since
            )


async def import_standings(
    standings: Standings, counted: Counted, publish: Publish, *, whole: bool, agreed: bool
) -> Reconciled:
    """Publishes what is missing. Raises TooMuchTakenBack, KeepsChanging and what `publish` raises."""
    return await reconcile(
        lambda current: needed(standings, counted, current, whole=whole),
        counted,
        publish,
        datetime.now(UTC),
        agreed=agreed,
    )
