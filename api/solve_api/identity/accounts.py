"""Who may log in? Admins by name; one who leaves is disabled, never deleted, since the audit table names them."""

import re
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from solve_api.errors import AdminExists, AdminUnknown, NameRefused
from solve_api.identity.database import Database, transaction
from solve_api.identity.passwords import hashed, hashed_new
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

ACCOUNTS_SQL = queries("solve_api.identity", "accounts")
SESSIONS_SQL = queries("solve_api.identity", "sessions")

# as the table's own check says it
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Admin:
    """One of them, without the password's hash."""

    admin_id: int
    name: str
    created_at: datetime
    password_changed_at: datetime
    disabled_at: datetime | None
    sessions: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Account:
    """What a log-in needs to know."""

    admin_id: int
    name: str
    password_hash: str
    password_changed_at: datetime
    disabled: bool


def name_of(typed: str) -> str:
    """The name as the table has it. Raises NameRefused where no admin can have it."""
    name = typed.lower()
    if not NAME.fullmatch(name):
        raise NameRefused(
            "a name has 1 to 64 characters: letters a to z, digits, and . _ @ - after the first; choose such a one"
        )
    return name


async def create_admin(database: Database, typed: str, password: str) -> int:
    """The new admin's id. Raises NameRefused, PasswordRefused, AdminExists."""
    name = name_of(typed)
    password_hash = await hashed_new(password, name)
    try:
        made = await database.fetchval(
            "INSERT INTO admins (name, password_hash) VALUES ($1, $2) RETURNING admin_id", name, password_hash
        )
    except asyncpg.UniqueViolationError:
        raise AdminExists(
            f"there is an admin {name} already; give them a new password with: solve-api admin password {name}"
        ) from None
    return int(made)


async def change_password(database: Database, typed: str, password: str) -> int:
    """Ends all of the admin's sessions; how many. Raises AdminUnknown, NameRefused, PasswordRefused."""
    name = name_of(typed)
    admin_id = await admin_id_of(database, name)
    password_hash = await hashed_new(password, name)
    async with transaction(database) as connection:
        return len(await replace_password(connection, admin_id, password_hash) or ())


async def replace_password(
    connection: Connection, admin_id: int, password_hash: str, instead_of: datetime | None = None
) -> list[bytes] | None:
    """Ends all of the admin's sessions, in a transaction of the caller's: their hashes.

    None, and nothing changed, where the admin was disabled or has another password than that of `instead_of`.
    """
    # first the row that a log-in locks, then the sessions: one that was opened with the old password is seen
    if not await connection.fetchval(ACCOUNTS_SQL["replace_password"], admin_id, password_hash, instead_of):
        return None
    return [row[0] for row in await connection.fetch(SESSIONS_SQL["end_all_sessions"], admin_id)]


async def rehash(database: Database, account: Account, password: str) -> None:
    """Keeps a right password with today's parameters; one that was changed meanwhile stays."""
    await database.execute(
        "UPDATE admins SET password_hash = $3 WHERE admin_id = $1 AND password_hash = $2",
        account.admin_id,
        account.password_hash,
        await hashed(password),
    )


async def disable(database: Database, typed: str) -> int:
    """No log-in, no session and no token of theirs works any more; how many sessions ended. Raises AdminUnknown."""
    async with transaction(database) as connection:
        admin_id = await connection.fetchval(
            "UPDATE admins SET disabled_at = coalesce(disabled_at, now()) WHERE name = $1 RETURNING admin_id",
            name_of(typed),
        )
        if admin_id is None:
            raise _unknown(typed)
        return len(await connection.fetch(SESSIONS_SQL["end_all_sessions"], admin_id))


async def enable(database: Database, typed: str) -> None:
    """Their password works again, and those of their tokens that were not revoked. Raises AdminUnknown."""
    name = name_of(typed)
    if not await database.fetchval("UPDATE admins SET disabled_at = NULL WHERE name = $1 RETURNING admin_id", name):
        raise _unknown(name)


async def account_of(database: Database, name: str) -> Account | None:
    """Also of a disabled admin; None where nobody has the name."""
    row = await database.fetchrow(ACCOUNTS_SQL["account"], name)
    return Account(**row) if row else None


async def admin_id_of(database: Database, typed: str) -> int:
    """Also of a disabled admin. Raises AdminUnknown, NameRefused."""
    account = await account_of(database, name_of(typed))
    if account is None:
        raise _unknown(typed)
    return account.admin_id


async def admins(database: Database) -> list[Admin]:
    """Everybody by name, with how many sessions and tokens they have open."""
    return [Admin(**row) for row in await database.fetch(ACCOUNTS_SQL["admins"])]


def _unknown(name: str) -> AdminUnknown:
    return AdminUnknown(f"there is no admin {name}; see them with: solve-api admin list")
