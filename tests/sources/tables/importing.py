"""Imports a table in this process, beside what was counted from it."""

from solve_producer.client import SolveProducer
from solve_sources.reconciliation.counted import open_counted
from solve_sources.tables.problem_sessions import Import, Imported, import_sessions, source_of
from solve_sources.tables.settings import SourceSettings
from tests.world import World


async def imported(world: World, wanted: Import, settings: SourceSettings) -> Imported:
    """What the import did."""
    done, source = Imported(), source_of(wanted, settings)
    async with (
        SolveProducer(world.connection, source=source) as producer,
        open_counted(world.connection, world.settings, source) as counted,
    ):
        await import_sessions(wanted, settings, counted, producer.publish, done)
    return done
