"""How often may a password be guessed? So many times in a row for each name, whether anybody has it or not.

A guess is counted before it is tried, by one statement: a thousand guesses at once are no more than one after another.
While a name is locked nothing is counted, so that the lock ends in time whatever is tried meanwhile.
"""

from datetime import datetime, timedelta

from solve_api.identity.database import Database
from solve_api.settings import ApiSettings
from solve_runtime.sql import queries

LOCKOUTS_SQL = queries("solve_api.identity", "lockouts")


def inside(name: str) -> str:
    """Under which name guesses in an open session count: who guesses outside cannot keep its admin from acting."""
    return f"{name}/inside"  # no name of an admin has a slash


async def may_try(database: Database, settings: ApiSettings, name: str, now: datetime) -> bool:
    """Counts a try as failed; False where the name is locked, and then the right password is refused too."""
    locked_for = timedelta(seconds=settings.api_lockout_s)
    tried = await database.fetchval(LOCKOUTS_SQL["count_failure"], name, now, locked_for, settings.api_lockout_failures)
    await database.execute(LOCKOUTS_SQL["delete_old_failures"], now, now - locked_for)
    return tried is not None


async def clear(database: Database, name: str) -> None:
    """The password was right."""
    await database.execute("DELETE FROM admin_lockouts WHERE name = $1", name)


async def unlock(database: Database, name: str, now: datetime) -> bool:
    """Forgets the failures of a name, outside and inside; whether it was locked."""
    rows = await database.fetch(
        "DELETE FROM admin_lockouts WHERE name = ANY ($1::text[]) RETURNING locked_until", [name, inside(name)]
    )
    return any(row[0] is not None and row[0] > now for row in rows)
