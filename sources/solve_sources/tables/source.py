"""Tables of a platform's database, read in key order, a page at a time, whatever the database.

Each page is a read-only transaction of its own: nothing is written, and between pages nothing is held.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any, ClassVar

from solve_sources.errors import SourceUnusable
from solve_sources.tables.mapping import Sessions, Users
from solve_sources.tables.sessions import Row

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
TEXTS = frozenset(("user_id", "problem_id", "submission_id", "language", "contest_id", "username"))
OTHERS = frozenset(("completed", "completed_at", "submitted_at", "registered_at", "revision", "listed"))


class TableSource(ABC):
    """A connection to a platform's database."""

    quote: ClassVar[str]

    @abstractmethod
    async def columns(self, select: str) -> frozenset[str]:
        """The columns that a query gives. Raises SourceUnusable."""

    @abstractmethod
    async def key_of(self, select: str, text: str) -> Any:
        """A key as the query compares it, from its text. Raises SourceUnusable."""

    @abstractmethod
    async def rows(self, select: str, columns: list[str], after: Any, limit: int) -> list[Row]:
        """Rows in key order, after a key or from the first, with `key`, `key_text` and other ids as text.

        Raises SourceUnusable.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends the connection."""

    def select_of(self, source: Sessions | Users) -> str:
        """Selects `key` and the fields; nothing given as a name is unquoted. Raises SourceUnusable."""
        if source.query:
            return source.query.strip().rstrip(";")
        named = asdict(source)
        columns = ", ".join(
            f"{self.quoted(column)} AS {self.quoted(name)}"
            for name, column in named.items()
            if column and name in TEXTS | OTHERS | {"key"}
        )
        return f"SELECT {columns} FROM {self.quoted(source.table)}"  # noqa: S608 - names checked and quoted

    def quoted(self, name: str) -> str:
        """A table's or column's name, quoted; `schema.table` has two. Raises SourceUnusable on anything else."""
        parts = name.split(".")
        if len(parts) > 2 or not all(IDENTIFIER.fullmatch(part) for part in parts):
            raise SourceUnusable(
                f'"{name}" is not the name of a table or column; use letters, digits and _, or --query'
            )
        return ".".join(f"{self.quote}{part}{self.quote}" for part in parts)

    async def pages(self, source: Sessions | Users, after: str | None, page_rows: int) -> AsyncIterator[list[Row]]:
        """All rows, `page_rows` at a time. Raises SourceUnusable."""
        select = self.select_of(source)
        found = await self.columns(select)
        if missing := sorted(_needed(source) - found):
            raise SourceUnusable(f"the query gives no {', '.join(missing)}; name its columns so")
        columns = sorted(found & (TEXTS | OTHERS))
        last = None if after is None else await self.key_of(select, after)
        while rows := await self.rows(select, columns, last, page_rows + 1):
            if any(row["key"] is None for row in rows):
                raise SourceUnusable("a row has no key; name a column that is unique and never NULL")
            for row, following in pairwise(rows):
                if row["key"] == following["key"]:
                    raise SourceUnusable(
                        f"two rows have the key {row['key_text']}; name a column that is unique and never NULL"
                    )
            yield rows[:page_rows]
            last = rows[:page_rows][-1]["key"]


def _needed(source: Sessions | Users) -> set[str]:
    if isinstance(source, Sessions):
        return {"key", "user_id", "problem_id", "completed", "completed_at"}
    return {"key", "username", "registered_at"}
