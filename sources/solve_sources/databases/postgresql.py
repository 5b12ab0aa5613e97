"""A connection to PostgreSQL, also through a pooler, which may give each transaction another session."""

import ssl

import asyncpg

from solve_runtime.addresses import database_place
from solve_sources.databases.names import Named
from solve_sources.errors import SourceUnusable

CONNECT_TIMEOUT_S = 10


async def connect(address: str, named: Named, timeout_s: float | None = None) -> asyncpg.Connection:
    """A statement that takes longer than `timeout_s` fails. Raises SourceUnusable, without the password."""
    unusable = f"cannot connect to {named.what} at {database_place(address)}"
    try:
        return await asyncpg.connect(
            address,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=timeout_s,
            statement_cache_size=0,  # a pooler may give the next transaction a session without them
            server_settings={"application_name": named.program},  # the one that poolers accept
        )
    except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        if isinstance(error, ValueError) and not isinstance(error, OSError):  # it may quote the address
            raise SourceUnusable(f"{unusable}: correct the parameters in {named.variable}, such as sslmode") from None
        said = str(error) or type(error).__name__
        check = f"{named.variable} and the server"
        if isinstance(error, ssl.SSLCertVerificationError):
            check = f"that sslrootcert in {named.variable} names the authority of the server's certificate"
        raise SourceUnusable(f"{unusable}: {said}; check {check}") from error
