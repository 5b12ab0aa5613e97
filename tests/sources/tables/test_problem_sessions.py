"""The import of a platform's own table, whatever its names and types, and how it continues after a stop."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from solve_projector.replay.replaying import ReplayOptions, replay
from solve_schemas.events import SubmissionSolved, UserRegistered, UserRemoved
from solve_sources.errors import ImportStopped, SourceUnusable, TooMuchTakenBack
from solve_sources.tables.mapping import Sessions, Users
from solve_sources.tables.problem_sessions import Import, Imported
from solve_sources.tables.sessions import TimeRules
from solve_sources.tables.settings import SourceSettings
from tests.pooler import pooled
from tests.sources.tables.importing import imported as imported_from
from tests.world import World

TABLES = """
CREATE SCHEMA site;
CREATE TABLE site.users (id bigint PRIMARY KEY, username text, created_at timestamptz);
CREATE TABLE site.problem_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint, problem_id int, completed boolean,
    completed_at timestamptz, submission uuid
);
INSERT INTO site.users SELECT n, 'name ' || n || chr(7), '2020-01-01Z' FROM generate_series(1, 20) AS n;
-- two attempts at most things, every third not completed
INSERT INTO site.problem_sessions (user_id, problem_id, completed, completed_at, submission)
SELECT 1 + n % 20, n % 7, n % 3 <> 0, CASE WHEN n % 3 <> 0 THEN timestamptz '2021-01-01Z' + n * interval '1 h' END,
    ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid
FROM generate_series(1, 300) AS n;
"""
TRUTH = """
SELECT user_id::text, count(DISTINCT problem_id)::int FROM site.problem_sessions WHERE completed GROUP BY user_id
"""
SESSIONS = Sessions(table="site.problem_sessions")
USERS = Users(table="site.users")


@pytest_asyncio.fixture
async def site(world: World) -> AsyncIterator[asyncpg.Connection]:
    """The platform's database: here another schema of the same."""
    async with world.database() as connection:
        await connection.execute(TABLES)
        yield connection


async def imported(world: World, wanted: Import) -> Imported:
    return await imported_from(world, wanted, SourceSettings(source_database_url=world.settings.database_url))


async def counts(world: World) -> dict[str, int]:
    await world.run_once()
    return dict(await world.fetch("SELECT user_id, problems_solved FROM public.users WHERE problems_solved > 0"))


async def test_every_completed_attempt_counts_once_and_twice_is_harmless(world: World, site) -> None:  # type: ignore[no-untyped-def]
    truth = dict(await site.fetch(TRUTH))
    for _ in range(2):
        done = await imported(world, Import(SESSIONS, USERS, page_rows=64))
        assert (done.users, done.solved, done.not_completed, done.last_key) == (20, 200, 100, "300")
        assert await counts(world) == truth
    assert await world.value("SELECT username FROM public.users WHERE user_id = '7'") == "name 7 "


async def test_a_row_that_is_completed_no_more_or_gone_is_taken_back(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await imported(world, Import(SESSIONS, USERS))
    await counts(world)
    await site.execute("UPDATE site.problem_sessions SET completed = false WHERE id IN (1, 2)")
    await site.execute("DELETE FROM site.problem_sessions WHERE id IN (4, 5)")
    for taken_back in (4, 0):
        done = await imported(world, Import(SESSIONS, USERS, page_rows=64))
        assert (done.published, done.taken_back) == (taken_back, taken_back)
        assert await counts(world) == dict(await site.fetch(TRUTH))
    await site.execute("UPDATE site.problem_sessions SET completed = true WHERE id = 1")
    assert (await imported(world, Import(SESSIONS, USERS))).published == 1
    assert await counts(world) == dict(await site.fetch(TRUTH))
    assert not (await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)).drifted


async def test_what_is_left_out_takes_nothing_back(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await imported(world, Import(SESSIONS, USERS))
    truth = await counts(world)
    await site.execute("DELETE FROM site.problem_sessions WHERE id = 1")
    await site.execute("UPDATE site.problem_sessions SET completed_at = NULL WHERE id = 200")
    for some in (
        Import(SESSIONS, None, after="100", skip_invalid=True),
        Import(SESSIONS, None, skip_invalid=True),
        Import(SESSIONS, None, partial=True, skip_invalid=True),
    ):
        assert (await imported(world, some)).published == 0
    assert await counts(world) == truth


async def test_more_than_a_tenth_is_taken_back_only_after_a_yes(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await imported(world, Import(SESSIONS, USERS))
    truth = await counts(world)
    await site.execute("DELETE FROM site.problem_sessions")
    with pytest.raises(TooMuchTakenBack, match="200 of the 200 solves"):
        await imported(world, Import(SESSIONS, USERS))
    assert await counts(world) == truth
    assert (await imported(world, Import(SESSIONS, USERS, agreed=True))).taken_back == 200
    assert await counts(world) == {}


async def test_another_table_takes_nothing_back(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await imported(world, Import(SESSIONS, USERS))
    truth = await counts(world)
    await site.execute("CREATE TABLE site.other (LIKE site.problem_sessions)")
    await imported(world, Import(Sessions(table="site.other"), None))
    await imported(
        world,
        Import(Sessions(query="SELECT id AS key, user_id, problem_id, completed, completed_at FROM site.other"), None),
    )
    assert await counts(world) == truth


async def test_a_name_that_changed_is_registered_again_and_no_ban_is_undone(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await imported(world, Import(SESSIONS, USERS))
    await counts(world)
    await world.publish([UserRemoved(user_id="3", removed_at=datetime(2024, 1, 1, tzinfo=UTC))])
    await site.execute("UPDATE site.users SET username = 'a' WHERE id IN (3, 4)")
    assert (await imported(world, Import(SESSIONS, USERS))).published == 1
    await counts(world)
    shown = await world.fetch("SELECT username, removed FROM public.users WHERE user_id IN ('3', '4') ORDER BY user_id")
    assert [tuple(row) for row in shown] == [("name 3 ", True), ("a", False)]


async def test_what_stands_by_live_events_is_not_published_again(world: World, site) -> None:  # type: ignore[no-untyped-def]
    rows = await site.fetch("SELECT * FROM site.problem_sessions WHERE completed AND id < 10")
    live = [
        SubmissionSolved(
            submission_id=f"session-{row['id']}",
            user_id=str(row["user_id"]),
            problem_id=str(row["problem_id"]),
            judged_at=row["completed_at"],
        )
        for row in rows
    ]
    await world.publish(live)
    await world.run_once()
    for published in (220 - len(live), 0):
        assert (await imported(world, Import(SESSIONS, USERS))).published == published
        assert await counts(world) == dict(await site.fetch(TRUTH))


async def test_an_unlisting_of_an_admin_stays_where_the_table_does_not_say(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await imported(world, Import(SESSIONS, USERS))
    hidden = UserRegistered(
        user_id="3", username="name 3 ", registered_at=datetime(2024, 1, 1, tzinfo=UTC), listed=False
    )
    await world.publish([hidden])
    await site.execute("UPDATE site.users SET username = 'renamed' WHERE id IN (3, 4)")
    assert (await imported(world, Import(SESSIONS, USERS))).published == 2
    await counts(world)
    shown = await world.fetch("SELECT username, listed FROM public.users WHERE user_id IN ('3', '4') ORDER BY user_id")
    assert [tuple(row) for row in shown] == [("renamed", False), ("renamed", True)]


async def test_a_key_that_is_not_unique_is_refused(world: World, site) -> None:  # type: ignore[no-untyped-def]
    query = "SELECT id / 2 AS key, user_id, problem_id, completed, completed_at FROM site.problem_sessions"
    for page_rows in (5, 6):
        with pytest.raises(ImportStopped, match="two rows have the key 1; name a column that is unique"):
            await imported(world, Import(Sessions(query=query), None, page_rows=page_rows))


async def test_the_incident_ends_with_an_import_and_a_replay(world: World, site) -> None:  # type: ignore[no-untyped-def]
    """Sessions complete, every count 0 because only the cache was written."""
    await site.execute("INSERT INTO public.users (user_id, username) SELECT id::text, username FROM site.users")
    truth = dict(await site.fetch(TRUTH))
    await imported(world, Import(SESSIONS, USERS))
    report = await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    assert report.message == f"Backfill complete: {len(truth)} users updated out of 20"
    assert {one.user_id: (one.old_count, one.new_count) for one in report.updates} == {
        user_id: (0, solved) for user_id, solved in truth.items()
    }
    assert await counts(world) == truth
    assert not (await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)).drifted


async def test_a_bad_row_stops_and_says_where_to_go_on(world: World, site) -> None:  # type: ignore[no-untyped-def]
    truth = dict(await site.fetch(TRUTH))
    when = await site.fetchval("SELECT completed_at FROM site.problem_sessions WHERE id = 200")
    await site.execute("UPDATE site.problem_sessions SET completed_at = NULL WHERE id = 200")
    with pytest.raises(ImportStopped, match=r"key 200 has no time.*--default-time.*continue with --after 180"):
        await imported(world, Import(SESSIONS, USERS, page_rows=20))
    await site.execute("UPDATE site.problem_sessions SET completed_at = $1 WHERE id = 200", when)
    done = await imported(world, Import(SESSIONS, None, after="180", page_rows=20))
    assert done.solved + done.not_completed == 120
    assert await counts(world) == truth


async def test_a_default_time_stands_for_the_missing_and_bad_rows_can_be_skipped(world: World, site) -> None:  # type: ignore[no-untyped-def]
    truth = dict(await site.fetch(TRUTH))
    await site.execute("UPDATE site.problem_sessions SET completed_at = NULL WHERE id % 2 = 0")
    await site.execute("INSERT INTO site.problem_sessions (user_id, completed, completed_at) VALUES (1, true, now())")
    times = TimeRules(default_time=TimeRules().moment(await site.fetchval("SELECT timestamptz '2022-01-01Z'"), "it"))
    done = await imported(world, Import(SESSIONS, USERS, times, skip_invalid=True))
    assert done.invalid == 1
    assert "key 301 is not an event: `problem_id`" in done.bad_rows[0]
    assert await counts(world) == truth


async def test_other_names_types_and_zones(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await site.execute(
        'CREATE TABLE site."Attempts" (key uuid PRIMARY KEY, who text, what text, ok int, at timestamp, lang text);'
        "INSERT INTO site.\"Attempts\" VALUES (gen_random_uuid(), 'ada', 'p\"q', 1, '2021-07-01 12:00', 'cpp'),"
        "(gen_random_uuid(), 'ada', 'r', 0, NULL, NULL)"
    )
    sessions = Sessions("site.Attempts", "key", "who", "what", "ok", "at", language="lang")
    users = Users(
        query="SELECT DISTINCT who AS key, who AS username, date '2020-01-01' AS registered_at FROM site.\"Attempts\""
    )
    await imported(world, Import(sessions, users, TimeRules(ZoneInfo("Europe/Berlin"))))
    assert await counts(world) == {"ada": 1}
    row = await world.fetch(
        "SELECT problem_id, language, to_char(submitted_at AT TIME ZONE 'UTC', 'HH24:MI') FROM verdicts"
    )
    assert [tuple(one) for one in row] == [('p"q', "cpp", "10:00")]


async def test_submission_ids_are_those_of_live_events(world: World, site) -> None:  # type: ignore[no-untyped-def]
    sessions = Sessions("site.problem_sessions", submission_id="submission")
    await imported(world, Import(sessions, USERS))
    await world.run_once()
    assert await world.value("SELECT min(submission_id) FROM verdicts") == "00000000-0000-0000-0000-000000000001"


TWICE = """
CREATE TABLE site.twice (
    id int PRIMARY KEY, user_id int, problem_id int, completed boolean, completed_at timestamptz, submission int,
    revision numeric
);
INSERT INTO site.twice VALUES
    (1, 1, 1, true, '2021-01-01Z', 1, 0), (2, 1, 1, true, '2021-01-02Z', 1, 0), -- both: solved
    (3, 2, 1, true, '2021-01-02Z', 2, 0), (4, 2, 1, true, '2021-01-01Z', 2, 0), -- both, the later one first
    (5, 3, 1, true, '2021-01-01Z', 3, 0), (6, 3, 1, false, NULL, 3, 0),         -- pending beside it: solved
    (7, 4, 1, true, '2021-01-01Z', 4, 0), (8, 4, 1, false, NULL, 4, 1),         -- rejudged: not solved
    (9, 5, 1, true, '2021-01-01Z', 5, 0), (10, 5, 1, false, '2021-01-02Z', 5, 0), -- judged later: not solved
    (11, 6, 1, false, '2021-01-02Z', 6, 0), (12, 6, 1, true, '2021-01-03Z', 6, 0), -- and then again: solved
    (13, 7, 1, true, '2021-01-01Z', NULL, 0), (14, 7, 2, true, '2021-01-01Z', NULL, 0),
    (15, 7, 3, false, NULL, NULL, 0),
    (16, 8, 1, true, '2021-01-01Z', 7, 0), (17, 8, 2, true, '2021-01-01Z', 7, 0); -- of two problems: two submissions
"""


@pytest.mark.parametrize("page_rows", [1, 100])
async def test_of_several_rows_of_a_submission_one_stands_and_twice_is_harmless(  # type: ignore[no-untyped-def]
    world: World, site, page_rows: int
) -> None:
    await site.execute(TWICE)
    sessions = Sessions("site.twice", submission_id="submission", revision="revision")
    wanted = Import(sessions, USERS, page_rows=page_rows)
    truth = {"1": 1, "2": 1, "3": 1, "6": 1, "7": 2, "8": 2}
    await imported(world, wanted)
    assert await counts(world) == truth
    times = dict(await world.fetch("SELECT user_id, last_solved_at FROM public.users WHERE problems_solved > 0"))
    assert times["1"] == times["2"] == datetime(2021, 1, 2, tzinfo=UTC)
    again = await imported(world, wanted)
    assert (again.published, again.taken_back) == (0, 0)
    await site.execute(
        "UPDATE site.twice SET completed = false, revision = 2 WHERE id = 2; DELETE FROM site.twice WHERE id = 8"
    )
    assert (await imported(world, wanted)).published == 2
    assert await counts(world) == {"2": 1, "3": 1, "4": 1, "6": 1, "7": 2, "8": 2}
    assert (await imported(world, wanted)).published == 0
    assert not (await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)).drifted


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Import(Sessions('x"; DROP TABLE users --'), None), "is not the name of a table"),
        (Import(Sessions("site.nothing"), None), "does not exist"),
        (Import(Sessions("site.problem_sessions", key="none"), None), "does not exist"),
        (Import(Sessions(query="DELETE FROM site.users RETURNING id AS key"), None), "syntax error"),
        (Import(SESSIONS, None, after="x"), "is not a key of type int8"),
    ],
)
async def test_what_cannot_be_read_is_named(world: World, site, wanted: Import, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((SourceUnusable, ImportStopped), match=said):
        await imported(world, wanted)
    assert await site.fetchval("SELECT count(*) FROM site.users") == 20


async def test_a_query_cannot_write(world: World, site) -> None:  # type: ignore[no-untyped-def]
    await site.execute(
        "CREATE FUNCTION site.wipe() RETURNS bigint LANGUAGE sql AS 'DELETE FROM site.users RETURNING id'"
    )
    query = "SELECT site.wipe() AS key, 'u' AS user_id, 'p' AS problem_id, true AS completed, now() AS completed_at"
    with pytest.raises(ImportStopped, match="read-only"):
        await imported(world, Import(Sessions(query=query), None))
    assert await site.fetchval("SELECT count(*) FROM site.users") == 20


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_through_a_pooler_it_reads_everything_and_cannot_write(  # type: ignore[no-untyped-def]
    world: World, site, tmp_path: Path, mode: str
) -> None:
    source = world.settings.database_url.get_secret_value()
    await site.execute(
        "CREATE FUNCTION site.wipe() RETURNS bigint LANGUAGE sql AS 'DELETE FROM site.users RETURNING id'"
    )
    writes = "SELECT site.wipe() AS key, 'u' AS user_id, 'p' AS problem_id, true AS completed, now() AS completed_at"
    words = ["--table", "site.problem_sessions", "--users-table", "site.users", "--json"]
    ignored = "default_transaction_read_only,timezone"  # what people add once PgBouncer has refused them
    async with pooled(tmp_path / "pooler", source, mode, ignore_startup_parameters=ignored) as pooler:
        done = await command(world, pooler.url(), *words)
        refused = await command(world, pooler.url(), "--query", writes, "--no-users")
    assert json.loads(done.stdout)["solved"] == 200, done.stderr
    assert (refused.returncode, b"read-only" in refused.stderr) == (1, True), refused.stderr
    assert await site.fetchval("SELECT count(*) FROM site.users") == 20


async def test_the_command_imports_and_warns_and_keeps_the_password(world: World, site) -> None:  # type: ignore[no-untyped-def]
    words = ["--table", "site.problem_sessions", "--users-table", "site.users"]
    source = world.settings.database_url.get_secret_value()
    done = await command(world, source, *words, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 220
    assert b"would be: source /tables/" in done.stderr
    assert b"users 20, solved 200," in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["submission_id"].startswith("session-")
    done = await command(world, source, *words, "--json")
    assert json.loads(done.stdout) == {
        "source": f"/tables/{urlsplit(source).netloc.partition('@')[2]}{urlsplit(source).path}/site.problem_sessions",
        "users": 20, "solved": 200, "not_completed": 100, "invalid": 0, "published": 220, "taken_back": 0,
        "dead_letters": 0, "of_others": 0, "other_source": None, "last_key": "300",
    }  # fmt: skip
    assert b"a later revocation has to name them so" in done.stderr
    assert await counts(world) == dict(await site.fetch(TRUTH))
    renamed = await command(world, source, *words, "--source", "/another", "--json")
    said = json.loads(renamed.stdout)
    assert (said["source"], said["of_others"], said["published"]) == ("/another", 200, 0)
    assert f"200 of these solves are counted as {said['other_source']}".encode() in renamed.stderr
    unreachable = urlsplit(source)._replace(netloc="someone:hunter2@127.0.0.1:1").geturl()
    done = await command(world, unreachable, *words)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 2), done.stderr
    assert b"SOURCE_DATABASE_URL" in done.stderr
    assert b"hunter2" not in done.stderr
    done = await command(world, None, *words)
    assert done.returncode == 2
    assert b"SOURCE_DATABASE_URL" in done.stderr


async def command(world: World, source: str | None, *words: str) -> subprocess.CompletedProcess[bytes]:
    env = {name: value for name, value in world.environment.items() if name != "SOURCE_DATABASE_URL"}
    env |= {"SOURCE_DATABASE_URL": SecretStr(source).get_secret_value()} if source else {}
    arguments = [sys.executable, "-m", "solve_producer", "import", "problem-sessions", *words]
    return await asyncio.to_thread(subprocess.run, arguments, capture_output=True, env=env, check=False)
