"""Reads all that a table says."""

from solve_sources.reconciliation.wanted import WantedSolve, WantedUser
from solve_sources.tables.problem_sessions import Import, Imported, open_source, solve_pages, user_pages
from solve_sources.tables.settings import SourceSettings

Found = tuple[list[WantedUser], list[WantedSolve], Imported]


async def said_by(settings: SourceSettings, wanted: Import) -> Found:
    done, source = Imported(), await open_source(settings)
    try:
        users = [user async for page in user_pages(source, wanted, done) for user in page.users]
        solves = [solve async for page, _ in solve_pages(source, wanted, done) for solve in page.solves]
    finally:
        await source.close()
    return users, solves, done
