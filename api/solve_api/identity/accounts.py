"""Accounts of admins, by name. An admin who leaves is disabled, never deleted: the audit trail names them."""

import re
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from solve_api.database import Database, transaction
from solve_api.errors import AdminExists, AdminUnknown, NameRefused
from solve_api.identity.passwords import hashed_new
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

ACCOUNTS_SQL = queries("solve_api.identity", "accounts")
SESSIONS_SQL = queries("solve_api.identity", "sessions")

# the table's check constraint, without what is as long as a token: typed in the wrong place, it would be kept as a name
NAME = re.compile(r"(?!sct_.{36})[a-z0-9][a-z0-9._@-]{0,63}")

SEEMS_NAME_CHARS = 30  # a token has 43
NO_NAME = "(not a valid name)"


@dataclass(frozen=True, slots=True)
class Admin:
    """An admin as listed, without the password hash."""

    admin_id: int
    name: str
    created_at: datetime
    password_changed_at: datetime
    disabled_at: datetime | None
    sessions: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account as a login needs it."""

    admin_id: int
    name: str
    password_hash: str
    password_changed_at: datetime
    disabled: bool


def name_of(typed: str) -> str:
    """The name as stored. Raises NameRefused if no admin can have it."""
    name = typed.lower()
    if not NAME.fullmatch(name):
        raise NameRefused(
            "a name has 1 to 64 characters: the letters a to z, digits, and . _ @ - except at the start; "
            "choose another name"
        )
    return name


def seems_name(typed: str) -> bool:
    """Whether a text that names nobody may be kept: it may be a password or a token typed in the wrong place."""
    return (
        NAME.fullmatch(typed) is not None and "sct_" not in typed and (len(typed) <= SEEMS_NAME_CHARS or "@" in typed)
    )


async def new_hash(typed: str, password: str) -> str:
    """The hash of a new password, made before a transaction, which may not rest that long.

    Raises NameRefused, PasswordRefused.
    """
    return await hashed_new(password, name_of(typed))


async def create_admin(database: Database, typed: str, password: str) -> int:
    """As `add_admin`, with a password. Raises PasswordRefused too."""
    return await add_admin(database, typed, await new_hash(typed, password))


async def add_admin(database: Database, typed: str, password_hash: str) -> int:
    """Creates an admin and returns the id. Raises NameRefused, AdminExists."""
    name = name_of(typed)
    try:
        admin_id = await database.fetchval(
            "INSERT INTO admins (name, password_hash) VALUES ($1, $2) RETURNING admin_id", name, password_hash
        )
    except asyncpg.UniqueViolationError:
        raise AdminExists(
            f"admin {name} already exists; to set a new password, run: solve-api admin password {name}"
        ) from None
    return int(admin_id)


async def change_password(database: Database, typed: str, password: str) -> int:
    """As `set_password`, with a password. Raises PasswordRefused too."""
    await admin_id_of(database, typed)
    return await set_password(database, typed, await new_hash(typed, password))


async def set_password(database: Database, typed: str, password_hash: str) -> int:
    """Ends all sessions of the admin; returns how many. Raises AdminUnknown, NameRefused."""
    admin_id = await admin_id_of(database, typed)
    async with transaction(database) as connection:
        return len(await replace_password(connection, admin_id, password_hash) or ())


async def replace_password(
    connection: Connection, admin_id: int, password_hash: str, instead_of: datetime | None = None
) -> list[bytes] | None:
    """Sets the password and ends all sessions, within the caller's transaction; returns the hashes of the sessions.

    Returns None and changes nothing if the admin is disabled or no longer has the password set at `instead_of`.
    """
    # the row that a login locks comes first: a session opened with the old password is then visible
    if not await connection.fetchval(ACCOUNTS_SQL["replace_password"], admin_id, password_hash, instead_of):
        return None
    return [row[0] for row in await connection.fetch(SESSIONS_SQL["end_sessions"], admin_id, None)]


async def rehash(database: Database, account: Account, password_hash: str) -> None:
    """Stores a hash of the same password with current parameters, unless it was changed in the meantime."""
    await database.execute(
        "UPDATE admins SET password_hash = $3 WHERE admin_id = $1 AND password_hash = $2",
        account.admin_id,
        account.password_hash,
        password_hash,
    )


async def disable(database: Database, typed: str) -> int:
    """Blocks logins, sessions and tokens of the admin; returns how many sessions ended. Raises AdminUnknown."""
    async with transaction(database) as connection:
        admin_id = await connection.fetchval(
            "UPDATE admins SET disabled_at = coalesce(disabled_at, now()) WHERE name = $1 RETURNING admin_id",
            name_of(typed),
        )
        if admin_id is None:
            raise _unknown(typed)
        return len(await connection.fetch(SESSIONS_SQL["end_sessions"], admin_id, None))


async def enable(database: Database, typed: str) -> None:
    """Allows logins again, and tokens that were not revoked. Raises AdminUnknown."""
    name = name_of(typed)
    if not await database.fetchval("UPDATE admins SET disabled_at = NULL WHERE name = $1 RETURNING admin_id", name):
        raise _unknown(name)


async def account_of(database: Database, name: str) -> Account | None:
    """The account with this name, disabled or not, or None."""
    row = await database.fetchrow(ACCOUNTS_SQL["account"], name)
    return Account(**row) if row else None


async def kept_name(database: Database, typed: str) -> str:
    """What the activity keeps of a text that was typed as a name, whether or not an admin has it."""
    name = typed.lower()
    known = NAME.fullmatch(name) and await account_of(database, name)
    return name if known or seems_name(typed) else NO_NAME


async def admin_id_of(database: Database, typed: str) -> int:
    """The id of an admin, disabled or not. Raises AdminUnknown, NameRefused."""
    account = await account_of(database, name_of(typed))
    if account is None:
        raise _unknown(typed)
    return account.admin_id


async def admins(database: Database) -> list[Admin]:
    """All admins by name, with the number of their open sessions and valid tokens."""
    return [Admin(**row) for row in await database.fetch(ACCOUNTS_SQL["admins"])]


def _unknown(name: str) -> AdminUnknown:
    return AdminUnknown(f"there is no admin {name}; to list the admins, run: solve-api admin list")
