"""The SQL that makes the outbox table in a judge's database, with the least privileges of who uses it."""

from enum import StrEnum
from importlib.resources import files

WRITES = "INSERT"
RELAYS = "SELECT, DELETE, UPDATE (state, state_at, reason)"
EXAMPLES = {"postgresql": ("judge", "relay"), "mysql": ("judge@%", "relay@%")}


class Dialect(StrEnum):
    """The databases that have an outbox; MariaDB is `mysql`."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


def ddl(dialect: Dialect, writer: str | None = None, relay: str | None = None) -> str:
    """Statements that can be applied again. Grants to roles that are not named are comments, with example names."""
    text = files(__package__).joinpath("sql", f"{dialect}_table.sql").read_text(encoding="utf-8")
    example_writer, example_relay = EXAMPLES[dialect]
    grants = [
        "-- The judge may only add rows; the relay may not add or change any.",
        _grant(dialect, WRITES, writer, example_writer),
        _grant(dialect, RELAYS, relay, example_relay),
    ]
    return "\n".join([text, *grants])


def _grant(dialect: Dialect, privileges: str, role: str | None, example: str) -> str:
    named = _quoted_role(dialect, example if role is None else role)
    return f"{'-- ' if role is None else ''}GRANT {privileges} ON solve_outbox TO {named};"


def _quoted_role(dialect: Dialect, role: str) -> str:
    if dialect is Dialect.POSTGRESQL:
        return '"' + role.replace('"', '""') + '"'
    user, at, host = role.rpartition("@")
    parts = (user, host) if at else (role, "%")
    return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in parts)
