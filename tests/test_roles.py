"""Roles with the documented grants suffice, and a permission that is missing is named to whoever may know it."""

import asyncio
import re
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from solve_projector.errors import DatabaseRefused
from solve_projector.store.migrate import migrate
from tests.api.served import problem_of, serving
from tests.conftest import make_topic, url_of, world_of
from tests.events import registered, solved
from tests.world import World, environment_of

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"
NAMES = ("owner", "projector", "api", "import")


class Roles:
    """A database whose tables an owner has, and one world a role."""

    def __init__(self, worlds: dict[str, World], admin: asyncpg.Connection, names: dict[str, str]) -> None:
        self.projector, self.api, self.owner = worlds["projector"], worlds["api"], worlds["owner"]
        self.importing = worlds["import"]
        self._admin = admin
        self._names = names

    async def sql(self, text: str) -> None:
        """Statements of a superuser, with the roles' documented names."""
        await self._admin.execute(
            re.sub(r"\bsolve_(owner|projector|api|import)\b", lambda found: self._names[found[1]], text)
        )


@pytest_asyncio.fixture
async def roles(servers: dict[str, str]) -> AsyncIterator[Roles]:
    """As an operator would make them from the page."""
    mark = uuid.uuid4().hex[:8]
    names = {name: f"solve_{name}_{mark}" for name in NAMES}
    server = await asyncpg.connect(servers["DATABASE_URL"])
    await server.execute(f"CREATE DATABASE roles_{mark}")
    url = url_of(servers["DATABASE_URL"], f"roles_{mark}")
    admin = await asyncpg.connect(url)
    worlds = {}
    first = world_of(servers["KAFKA_BOOTSTRAP_SERVERS"], url, servers["REDIS_URL"])
    for name, role in names.items():
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        theirs = re.sub(r"//[^@/]*@", f"//{role}:secret@", url)
        settings = first.settings.model_copy(update={"database_url": SecretStr(theirs)})
        worlds[name] = World(first.connection, settings, environment_of(first.connection, settings))
    made = Roles(worlds, admin, names)
    await made.sql("GRANT USAGE, CREATE ON SCHEMA public TO solve_owner")
    await migrate(made.owner.settings)
    (grants,) = re.findall(r"```sql\n(GRANT .*?)```", OPERATIONS.read_text(), re.DOTALL)
    await made.sql(grants)
    await make_topic(first.connection)
    yield made
    await admin.close()
    await server.execute(f"DROP DATABASE roles_{mark} WITH (FORCE)")
    for role in names.values():
        await server.execute(f"DROP ROLE {role}")
    await server.close()


async def ran(world: World, program: str, *words: str) -> tuple[int | None, str]:
    """Exit status of a command, and what it printed."""
    streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", program, *words, env=world.environment, **streams
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_the_documented_grants_suffice(roles: Roles, tmp_path: Path) -> None:
    await roles.projector.publish([registered("u"), solved("1", "u", "p"), solved("2", "nobody", "p")])
    await roles.projector.run_once()
    status, said = await ran(roles.projector, "solve_projector", "replay", "--dry-run")
    assert status == 0, said
    feed = tmp_path / "feed.ndjson"
    feed.write_text(
        '{"type": "contest", "id": null, "data": {"id": "c"}}\n{"type": "teams", "id": "t", "data": {"id": "t"}}\n'
    )
    status, said = await ran(roles.importing, "solve_producer", "import", "clics", str(feed))
    assert status == 0, said
    async with serving(roles.api) as api, api.admin() as admin:
        assert (await api.get("/readyz")) == {"status": "ready"}
        assert (await api.get("/api/users/u"))["problems_solved"] == 1
        assert (await api.get("/api/leaderboard?period=week"))["total"] == 0
        for path in ("/api/admin/backfill-problems-solved", "/api/admin/sync-leaderboard"):
            found = await admin.post(path)
            assert found.status_code == 200, found.text
        assert (await admin.get("/admin")).status_code == 200
        assert (await admin.post("/api/admin/logout")).status_code == 204
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with roles.api.database() as database:
            await database.execute("UPDATE admin_audit SET action = 'x'")


async def test_a_permission_that_is_missing_is_named_in_the_log_and_not_to_visitors(
    roles: Roles, capsys: pytest.CaptureFixture[str]
) -> None:
    await roles.sql("REVOKE SELECT ON users FROM solve_api")
    async with serving(roles.api) as api:
        for path in ("/readyz", "/api/users/u", "/api/leaderboard"):
            capsys.readouterr()
            body = problem_of(await api.anybody.get(path), 503, "permission-missing")
            assert "users" not in str(body)
            (line,) = [line for line in capsys.readouterr().out.splitlines() if "request_failed" in line]
            assert "permission denied for table users" in line, path


async def test_a_permission_that_a_repair_lacks_is_not_an_unavailable_postgresql(
    roles: Roles, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(roles.api) as api, api.admin() as admin:
        for lacking, path in (
            ("UPDATE ON leaderboard_epoch", "/api/admin/sync-leaderboard"),
            ("SELECT ON solves", "/api/admin/backfill-problems-solved"),
        ):
            await roles.sql(f"REVOKE {lacking} FROM solve_api")
            capsys.readouterr()
            problem_of(await admin.post(path), 503, "permission-missing")
            assert f"permission denied for table {lacking.split()[-1]}" in capsys.readouterr().out, path


@pytest.mark.parametrize("table", ["users", "verdicts", "solves"])
async def test_projectors_name_the_table(roles: Roles, table: str) -> None:
    await roles.sql(f"REVOKE INSERT, UPDATE ON {table} FROM solve_projector")
    await roles.projector.publish([registered("u"), solved("1", "u", "p")])
    with pytest.raises(DatabaseRefused, match=f"permission denied for table {table}"):
        await roles.projector.run_once()


@pytest.mark.parametrize(
    ("revoked", "program", "words", "named"),
    [
        ("USAGE ON SCHEMA public FROM PUBLIC, solve_projector", "solve_projector", ("run", "--once"), "schema public"),
        (
            "ALL ON partition_offsets FROM solve_projector",
            "solve_projector",
            ("run", "--once"),
            "table partition_offsets",
        ),
        ("SELECT ON partition_offsets FROM solve_projector", "solve_projector", ("lag",), "table partition_offsets"),
        ("SELECT ON users FROM solve_projector", "solve_projector", ("user", "u"), "table users"),
        ("SELECT ON verdicts FROM solve_projector", "solve_projector", ("replay", "--dry-run"), "table verdicts"),
        ("CREATE ON SCHEMA public FROM solve_projector", "solve_projector", ("replay", "--dry-run"), "schema public"),
        ("SELECT ON admins FROM solve_api", "solve_api", ("admin", "list"), "table admins"),
    ],
)
async def test_commands_name_what_is_missing_in_one_line(
    roles: Roles, revoked: str, program: str, words: tuple[str, ...], named: str
) -> None:
    await roles.sql(f"REVOKE {revoked}")
    world = roles.api if program == "solve_api" else roles.projector
    status, said = await ran(world, program, *words)
    assert status == 1
    last = " ".join(said.split())
    assert f"permission denied for {named}" in last
    assert "docs/operations.md, Database roles" in last
    assert "Traceback" not in said
