"""The names of a database, in errors and on its server."""

from typing import NamedTuple


class Named(NamedTuple):
    """A database: in words, by the variable with its address, and what its server lists us as."""

    what: str
    variable: str
    program: str
