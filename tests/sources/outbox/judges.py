"""A judge with a database of its own: its submissions are the oracle, and its outbox has their events."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import asyncpg
import pymysql

from solve_runtime.addresses import mysql_place
from solve_schemas.events import Event
from solve_sources.outbox.ddl import Dialect, ddl
from tests.events import registered, revoked, solved
from tests.mariadb import Site

Row = tuple[Any, ...]
Run = Callable[[str], Awaitable[list[Row]]]
SUBMISSIONS = (
    "CREATE TABLE submissions (id int PRIMARY KEY, user_id varchar(9), problem_id varchar(9), accepted boolean)"
)
INSERT = "INSERT INTO solve_outbox (aggregateid, type, payload) VALUES ('{}', '{}', '{}')"


def row_of(event: Event) -> str:
    """The statement that puts an event into the outbox."""
    return INSERT.format(event.key, event.type_name, event.model_dump_json(exclude_none=True).replace("'", "''"))


class Judge(ABC):
    """A judge's database."""

    dialect: ClassVar[Dialect]
    url: str

    @abstractmethod
    def session(self) -> Any:
        """A transaction of its own, committed at exit; gives what runs a statement."""

    @abstractmethod
    async def end_other_sessions(self) -> None:
        """As a server does that restarts, or an administrator."""

    async def run(self, *statements: str) -> list[Row]:
        """In one transaction; the rows of the last."""
        async with self.session() as run:
            for one in statements:
                rows: list[Row] = await run(one)
        return rows

    async def make_tables(self) -> None:
        """The outbox as its command prints it, and the judge's own table."""
        await self.apply(ddl(self.dialect))
        await self.run(SUBMISSIONS)

    @abstractmethod
    async def close(self) -> None:
        """Ends its own sessions."""

    @abstractmethod
    async def apply(self, script: str) -> None:
        """Runs a script of many statements, as a command line client does."""

    async def add(self, *events: Event) -> None:
        """Puts events into the outbox, in one transaction."""
        await self.run(*map(row_of, events))

    async def waiting(self) -> int:
        """How many rows wait."""
        ((count,),) = await self.run("SELECT count(*) FROM solve_outbox WHERE state = 'waiting'")
        return int(count)

    async def counts(self) -> dict[str, int]:
        """The oracle: how many problems each user has solved, by the judge's own table."""
        return dict(
            await self.run(
                "SELECT user_id, count(DISTINCT problem_id) FROM submissions WHERE accepted GROUP BY user_id"
            )
        )

    async def register(self, *user_ids: str) -> None:
        """New users."""
        await self.add(*map(registered, user_ids))

    async def judge(self, user_id: str, first: int, count: int) -> None:
        """Verdicts, each one transaction with its event; some are rejudged, some rolled back."""
        chance = random.Random(first)
        for number in range(first, first + count):
            problem = f"p{number}"  # one lost solve shows
            with suppress(_Undone):
                async with self.session() as run:
                    await run(f"INSERT INTO submissions VALUES ({number}, '{user_id}', '{problem}', true)")
                    await run(row_of(solved(str(number), user_id, problem, number)))
                    if chance.random() < 0.1:
                        raise _Undone
            if chance.random() < 0.2:
                async with self.session() as run:
                    await run(f"UPDATE submissions SET accepted = false WHERE id = {number}")
                    await run(row_of(revoked(str(number), user_id, problem, number + 0.5)))


class _Undone(Exception):
    pass


def _statements_of(script: str) -> Iterator[str]:
    """As MySQL's own client splits a script: at the end of a line, by what DELIMITER says."""
    end, lines = ";", list[str]()
    for line in script.splitlines():
        if line.startswith("DELIMITER "):
            end = line.split()[1]
        elif not line.startswith("--"):
            lines.append(line)
            if line.endswith(end):
                yield "\n".join(lines).removesuffix(end)
                lines = []
    if rest := "\n".join(lines).strip():
        yield rest


class PostgreSqlJudge(Judge):
    """A judge on PostgreSQL."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, url: str) -> None:
        self.url = url
        self._free: list[asyncpg.Connection] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Run]:
        connection = self._free.pop() if self._free else await asyncpg.connect(self.url)

        async def run(statement: str) -> list[Row]:
            return [tuple(row) for row in await connection.fetch(statement)]

        try:
            async with connection.transaction():
                yield run
        finally:
            self._free.append(connection)

    async def close(self) -> None:
        while self._free:
            await self._free.pop().close()

    async def apply(self, script: str) -> None:
        connection = await asyncpg.connect(self.url)
        await connection.execute(script)
        await connection.close()

    async def end_other_sessions(self) -> None:
        await self.close()
        await self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class MySqlJudge(Judge):
    """A judge on MariaDB."""

    dialect = Dialect.MYSQL

    def __init__(self, site: Site, url: str | None = None) -> None:
        self.site = site
        self.url = url or site.url()
        self._free: list[pymysql.Connection[Any]] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Run]:
        connection = self._free.pop() if self._free else self._connected()
        connection.begin()

        def execute(statement: str) -> list[Row]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        try:
            yield lambda statement: asyncio.to_thread(execute, statement)
            connection.commit()
        finally:
            connection.rollback()
            self._free.append(connection)

    def _connected(self) -> "pymysql.Connection[Any]":
        place = mysql_place(self.url)
        return pymysql.connect(
            host=place.host, port=place.port, user=place.user, password=place.password.encode(), database=place.database
        )  # type: ignore[call-overload,no-any-return]

    async def close(self) -> None:
        while self._free:
            self._free.pop().close()

    async def apply(self, script: str) -> None:
        with self.site.admin.cursor() as cursor:
            for statement in _statements_of(script):
                cursor.execute(statement)

    async def end_other_sessions(self) -> None:
        await self.close()
        self.site.kill_readers()
