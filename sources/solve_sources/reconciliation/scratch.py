"""A database of one process, in a temporary file that no name leads to: memory stays the same, however much is in it.

SQLite's manual, "Temporary Files Used By SQLite": a database with the empty name is removed when it is closed, also by
a crash, and is written to disk only once its cache is full.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Self

CACHE_KIB = 64 * 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def open_scratch(script: str) -> sqlite3.Connection:
    """An empty database with the tables of `script`."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};")
    database.executescript(script)
    database.execute("BEGIN")  # never ended: a commit a statement costs nearly half of the time
    return database


class Scratch:
    """Whatever is kept in such a database, until its `with` ends."""

    def __init__(self, script: str) -> None:
        self._database = open_scratch(script)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forgets everything."""
        self._database.close()


def in_microseconds(time: datetime) -> int:
    """Since 1970, as SQLite keeps times."""
    return (time - EPOCH) // TICK


def as_time(microseconds: int) -> datetime:
    """The reverse of `in_microseconds`."""
    return EPOCH + timedelta(microseconds=microseconds)


def storable(text: str) -> str:
    """Text that SQLite can keep: a lone surrogate, which JSON may escape, is written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
