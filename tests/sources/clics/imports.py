"""Imports of a contest's feed in this process."""

import json
from typing import Any

from solve_sources.clics.contest import Contest
from solve_sources.clics.feed import feed_changes
from solve_sources.clics.importing import ContestImport, open_contest
from solve_sources.clics.verdicts import Reading
from solve_sources.reconciliation.reconciling import Reconciled
from tests.world import World


async def imported(
    world: World, lines: list[dict[str, Any]], source: str | None = None, *, agreed: bool = True, **reading: Any
) -> Reconciled:
    """Imports a feed of these lines; says how many events were published, and taken back."""
    with Contest() as contest:
        for change in feed_changes([json.dumps(one).encode() for one in lines], "feed"):
            contest.apply(change)
        wanted = ContestImport("feed", Reading(**reading), source, agreed)
        async with open_contest(contest, wanted, world.connection, world.settings) as counted:
            await counted.reconcile()
            return counted.published
