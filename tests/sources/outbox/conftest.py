"""A judge on each of the two databases, with its outbox."""

from collections.abc import AsyncIterator, Mapping
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.conftest import url_of
from tests.sources.outbox.judges import Judge, MySqlJudge, PostgreSqlJudge


@pytest_asyncio.fixture(params=["postgresql", "mysql"])
async def judge(request: pytest.FixtureRequest, servers: Mapping[str, str]) -> AsyncIterator[Judge]:
    """A judge's database; each test runs on both."""
    if request.param == "mysql":
        on_mysql = MySqlJudge(request.getfixturevalue("site"))
        await on_mysql.make_tables()
        yield on_mysql
        await on_mysql.close()
        return
    name, admin = f"judge_{uuid4().hex[:12]}", await asyncpg.connect(servers["DATABASE_URL"])
    await admin.execute(f"CREATE DATABASE {name}")
    on_postgresql = PostgreSqlJudge(url_of(servers["DATABASE_URL"], name))
    await on_postgresql.make_tables()
    yield on_postgresql
    await on_postgresql.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
