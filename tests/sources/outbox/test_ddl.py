"""The outbox's table as its command prints it: applied again and again, with the least privileges that work."""

from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pymysql
import pytest

from solve_sources.errors import SourceUnusable
from solve_sources.outbox.ddl import Dialect, ddl
from tests.events import registered, solved
from tests.sources.commands import solve_producer
from tests.sources.outbox.judges import Judge, MySqlJudge, row_of
from tests.sources.outbox.relaying import relay_once
from tests.world import World

COLUMNS = {"id", "aggregatetype", "aggregateid", "type", "payload"}  # what Debezium's outbox event router reads
REFUSALS = (asyncpg.InsufficientPrivilegeError, pymysql.err.OperationalError)


class Roles:
    """A writer and a relay with passwords of their own, and nothing granted but what the command prints."""

    def __init__(self, judge: Judge) -> None:
        suffix = uuid4().hex[:8]
        self._judge = judge
        self.names = [f"writer_{suffix}", f"relay_{suffix}"]
        self._is_mysql = judge.dialect is Dialect.MYSQL

    async def make(self) -> None:
        """The roles, and the grants."""
        for name in self.names:
            await self._judge.run(
                f"CREATE USER '{name}'@'%' IDENTIFIED BY 'pw'"
                if self._is_mysql
                else f"CREATE ROLE {name} LOGIN PASSWORD 'pw'"
            )
        await self._judge.apply(ddl(self._judge.dialect, *self.names))

    async def drop(self) -> None:
        """For the server that other tests share."""
        for name in self.names:
            if not self._is_mysql:
                await self._judge.run(f"DROP OWNED BY {name}")
            await self._judge.run(f"DROP {'USER' if self._is_mysql else 'ROLE'} {name}")

    def url(self, name: str) -> str:
        """The judge's database as this role."""
        parts = urlsplit(self._judge.url)
        return parts._replace(netloc=f"{name}:pw@{parts.hostname}:{parts.port}").geturl()


async def test_the_table_is_made_once_and_has_what_debezium_reads(judge: Judge) -> None:
    await judge.add(registered("ada"))
    await judge.apply(ddl(judge.dialect))
    assert await judge.waiting() == 1
    columns = await judge.run(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'solve_outbox' AND table_schema = "
        + ("DATABASE()" if judge.dialect is Dialect.MYSQL else "current_schema()")
    )
    assert {name for (name,) in columns} >= COLUMNS
    ((found, kind),) = await judge.run("SELECT id, aggregatetype FROM solve_outbox")
    assert len(str(found)) == 36
    assert kind == "judge-events"


async def test_who_writes_may_only_write_and_who_relays_may_only_relay(world: World, judge: Judge) -> None:
    roles = Roles(judge)
    await roles.make()
    writer, relay = roles.names
    try:
        as_writer = _as(judge, roles.url(writer))
        await as_writer.add(registered("ada"), solved("1", "ada", "p"))
        await as_writer.run("INSERT INTO solve_outbox (aggregateid, type, payload) VALUES ('u', 'no.such', '{}')")
        for statement in ("SELECT * FROM solve_outbox", "DELETE FROM solve_outbox"):
            with pytest.raises(REFUSALS, match="denied"):
                await as_writer.run(statement)
        as_relay = _as(judge, roles.url(relay))
        done = await relay_once(world, as_relay)
        assert (done.published, done.refused) == (2, 1)
        for statement in (row_of(registered("bob")), "UPDATE solve_outbox SET payload = '{}'"):
            with pytest.raises(REFUSALS, match="denied"):
                await as_relay.run(statement)
        with pytest.raises(SourceUnusable, match=r"denied.*check the grants"):
            await relay_once(world, as_writer)
        await as_writer.close()
        await as_relay.close()
    finally:
        await roles.drop()


async def test_the_commands_print_it_and_publish_what_is_in_it(world: World, judge: Judge) -> None:
    printed = await solve_producer(
        world, "outbox", "ddl", "--for", judge.dialect, "--writer", "o'brien", "--relay", 'r"'
    )
    quoted = "'o''brien'@'%'" if judge.dialect is Dialect.MYSQL else '"o\'brien"'
    assert f"GRANT INSERT ON solve_outbox TO {quoted};" in printed.stdout.splitlines()
    await judge.add(registered("ada"), solved("1", "ada", "p"))
    relayed = await solve_producer(world, "relay", "--once", "--json", OUTBOX_DATABASE_URL=judge.url)
    assert (relayed.status, relayed.stdout) == (0, '{"published": 2, "refused": 0}\n')
    await judge.run("INSERT INTO solve_outbox (aggregateid, type, payload) VALUES ('u', 'no.such', '{}')")
    relayed = await solve_producer(world, "relay", "--once", OUTBOX_DATABASE_URL=judge.url)
    assert (relayed.status, relayed.stdout) == (1, "published 0, refused 1\n")
    assert "outbox_rows_refused" in relayed.stderr


def _as(judge: Judge, url: str) -> Judge:
    if isinstance(judge, MySqlJudge):
        return MySqlJudge(judge.site, url)
    return type(judge)(url)  # type: ignore[call-arg]
