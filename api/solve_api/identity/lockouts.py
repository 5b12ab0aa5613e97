"""Locks a name after too many wrong passwords in a row, whether or not an admin has that name.

An attempt is counted before it is tried, in one statement, so a thousand attempts at once get no further than a
thousand in a row. While a name is locked nothing is counted, so further attempts do not prolong the lock.
"""

from datetime import datetime, timedelta

from solve_api.database import Database
from solve_api.settings import ApiSettings
from solve_runtime.sql import queries

LOCKOUTS_SQL = queries("solve_api.identity", "lockouts")


def within_session(name: str) -> str:
    """The name for attempts in an open session: attempts from outside must not keep its admin from acting."""
    return f"{name}/inside"  # no admin's name contains a slash


async def may_try(database: Database, settings: ApiSettings, name: str, now: datetime) -> bool:
    """Counts an attempt as failed. False if the name is locked; the right password is then refused too."""
    locked_for = timedelta(seconds=settings.api_lockout_s)
    tried = await database.fetchval(LOCKOUTS_SQL["count_failure"], name, now, locked_for, settings.api_lockout_failures)
    await database.execute(LOCKOUTS_SQL["delete_old_failures"], now, now - locked_for)
    return tried is not None


async def clear(database: Database, name: str) -> None:
    """Forgets the failures of a name, after a right password."""
    await database.execute("DELETE FROM admin_lockouts WHERE name = $1", name)


async def unlock(database: Database, name: str, now: datetime) -> bool:
    """Forgets all failures of a name; returns whether it was locked."""
    rows = await database.fetch(
        "DELETE FROM admin_lockouts WHERE name = ANY ($1::text[]) RETURNING locked_until", [name, within_session(name)]
    )
    return any(row[0] is not None and row[0] > now for row in rows)
