"""The import of a table in MariaDB, with the types, zones and encodings that such tables have."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme

from solve_sources.errors import BadRow, SourceUnusable
from solve_sources.reconciliation.wanted import WantedSolve, WantedUser
from solve_sources.tables.mapping import Sessions, Users
from solve_sources.tables.problem_sessions import Import, open_source
from solve_sources.tables.sessions import Prefix, TimeRules
from tests.mariadb import MariaDb, Site
from tests.sources.tables.importing import imported
from tests.sources.tables.reading import said_by
from tests.waiting import until
from tests.world import World

SESSIONS = Sessions(table="problem_sessions")
TABLES = """
CREATE TABLE users (id bigint PRIMARY KEY, username varchar(40), created_at timestamp NULL);
CREATE TABLE problem_sessions (
    id bigint unsigned PRIMARY KEY, user_id bigint, problem_id int, completed tinyint(1), completed_at datetime(6) NULL
);
INSERT INTO users SELECT seq, concat('name ', seq, char(7)), '2020-01-01' FROM seq_1_to_20;
INSERT INTO problem_sessions
SELECT 18446744073709551000 + seq, 1 + seq % 20, seq % 7, seq % 3 <> 0,
    if(seq % 3 <> 0, timestamp('2021-01-01') + interval seq hour, NULL)
FROM seq_1_to_300;
"""
ONE = "SELECT 1 AS `key`, 2 AS user_id, 3 AS problem_id, {} AS completed, now() AS completed_at"
TRUTH = "SELECT user_id, count(DISTINCT problem_id) FROM problem_sessions WHERE completed GROUP BY user_id"


async def test_every_completed_attempt_counts_once_and_twice_is_harmless(world: World, site: Site) -> None:
    site.run(TABLES)
    truth = {str(user): count for user, count in site.run(TRUTH)}
    for _ in range(2):
        done = await imported(world, Import(SESSIONS, Users(), page_rows=64), site.settings())
        assert (done.users, done.solved, done.not_completed) == (20, 200, 100)
        assert done.last_key == "18446744073709551300"
        await world.run_once()
        assert dict(await world.fetch("SELECT user_id, problems_solved FROM users WHERE problems_solved > 0")) == truth
    assert await world.value("SELECT username FROM users WHERE user_id = '7'") == "name 7 "


async def test_types_zones_and_encodings(site: Site) -> None:
    site.run("""
SET sql_mode = '';
CREATE TABLE users (id binary(16) PRIMARY KEY, name varchar(20) CHARACTER SET latin1, at datetime, here bit(1));
INSERT INTO users VALUES (unhex('00112233445566778899AABBCCDDEEFF'), 'Zoë', '2020-07-01 12:00', b'1'),
    (unhex('FF112233445566778899AABBCCDDEEFF'), 'Ø', '0000-00-00', b'0');
CREATE TABLE a (
    k varchar(9) CHARACTER SET latin1 PRIMARY KEY, u binary(16), p varchar(9) CHARACTER SET utf8mb4,
    ok enum('AC', 'WA'), judged timestamp, sent datetime(6), lang varbinary(9), again decimal(9)
);
SET time_zone = '+00:00';
INSERT INTO a VALUES
    ('é', unhex('00112233445566778899AABBCCDDEEFF'), '😀', 'AC', '2021-07-01 12:00', '2021-07-01 12:00:00.25',
        'c++', 2),
    ('z', unhex('00112233445566778899AABBCCDDEEFF'), 'p', 'WA', '2021-07-01 12:00', '2021-07-01', 'c', 0);
""")
    sessions = Sessions(
        "a", "k", "u", "p", "ok", "judged", "k", "lang", revision="again", submitted_at="sent", solved=frozenset(["AC"])
    )
    times = TimeRules(ZoneInfo("Europe/Berlin"), datetime(2019, 1, 1, tzinfo=UTC))
    wanted = Import(sessions, Users("users", "id", "name", "at", listed="here"), times, prefix=Prefix("u:", "p:", "s:"))
    users, solves, done = await said_by(site.settings(), wanted)
    ada = "u:00112233-4455-6677-8899-aabbccddeeff"
    assert users == [
        WantedUser(ada, "Zoë", datetime(2020, 7, 1, 10, tzinfo=UTC), True),
        WantedUser(f"u:ff{ada[4:]}", "Ø", datetime(2019, 1, 1, tzinfo=UTC), False),
    ]
    judged, sent = datetime(2021, 7, 1, 12, tzinfo=UTC), datetime(2021, 7, 1, 10, 0, 0, 250_000, tzinfo=UTC)
    assert solves == [WantedSolve(ada, "p:😀", "s:é", judged, sent, "c++", "", 2)]
    assert done.not_completed == 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int", ["1", "2", "3"]),
        ("varchar(9)", ["Ab", "b", "ça"]),
        ("binary(16)", [f"00112233-4455-6677-8899-aabbccddeef{n}" for n in "123"]),
        ("varbinary(9)", ["a", "b", "ç"]),
    ],
)
async def test_keys_of_each_type_go_page_by_page_and_continue(site: Site, kind: str, values: list[str]) -> None:
    written = [f"unhex('{value.replace('-', '')}')" if kind == "binary(16)" else f"'{value}'" for value in values]
    site.run(f"""
CREATE TABLE a (k {kind} PRIMARY KEY, at timestamp NOT NULL DEFAULT '2021-01-01');
INSERT INTO a (k) VALUES {", ".join(f"({value})" for value in written)};
""")
    query = "SELECT k AS `key`, 'u' AS user_id, 'p' AS problem_id, 1 AS completed, at AS completed_at FROM a -- all;"
    wanted = Import(Sessions(query=query), None, page_rows=1)
    _, solves, _ = await said_by(site.settings(), wanted)
    assert [solve.submission_id for solve in solves] == [f"session-{value}" for value in values]
    _, solves, _ = await said_by(site.settings(), replace(wanted, after=values[0]))
    assert [solve.submission_id for solve in solves] == [f"session-{value}" for value in values[1:]]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Import(Sessions("nothing"), None), "doesn't exist; name the table"),
        (Import(Sessions("problem_sessions", key="none"), None), "Unknown column 'none'"),
        (Import(Sessions("x`; DROP TABLE users --"), None), "is not the name of a table"),
        (Import(Sessions(query="DELETE FROM users"), None), "error in your SQL syntax"),
        (
            Import(Sessions(query="SELECT 1 AS `key`, 2 AS user_id"), None),
            "gives no completed, completed_at, problem_id",
        ),
        (Import(SESSIONS, None, after="x"), '--after "x" is not a key such as 18446744073709551'),
        (Import(Sessions("problem_sessions", key="completed_at"), None), "no key|the key is a datetime"),
    ],
)
async def test_what_cannot_be_read_is_named(site: Site, wanted: Import, said: str) -> None:
    site.run(TABLES)
    with pytest.raises(SourceUnusable, match=said):
        await said_by(site.settings(), wanted)
    assert site.run("SELECT count(*) FROM users") == [(20,)]


async def test_a_query_may_hold_percent_signs_and_cannot_write(site: Site) -> None:
    site.run(TABLES)
    query = (
        "SELECT id AS `key`, user_id, 'p' AS problem_id, 'yes' AS completed, "
        "date_format('2021-01-01', '%Y-%m-%d') AS day, timestamp('2021-01-01') AS completed_at "
        "FROM problem_sessions WHERE 'a%b' LIKE '%\\%%'"
    )
    _, solves, _ = await said_by(site.settings(), Import(Sessions(query=query), None, page_rows=100))
    assert len(solves) == 300
    site.admin.cursor().execute(
        "CREATE FUNCTION wipe() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM users; RETURN 1; END"
    )
    writes = query.replace("'p' AS problem_id", "wipe() AS problem_id")
    with pytest.raises(SourceUnusable, match="READ ONLY transaction"):
        await said_by(site.settings(), Import(Sessions(query=writes), None))
    assert site.run("SELECT count(*) FROM users") == [(20,)]


async def test_a_bad_row_is_named_and_can_be_skipped(site: Site) -> None:
    site.run(TABLES)
    site.run("UPDATE problem_sessions SET completed_at = NULL WHERE id = 18446744073709551002")
    with pytest.raises(BadRow, match="key 18446744073709551002 has no time"):
        await said_by(site.settings(), Import(SESSIONS, None))
    _, solves, done = await said_by(site.settings(), Import(SESSIONS, None, skip_invalid=True))
    assert (len(solves), done.invalid, done.not_completed) == (199, 1, 100)
    sessions = Sessions(
        query="SELECT 1 AS `key`, 2 AS user_id, 3 AS problem_id, 'AC' AS completed, now() AS completed_at"
    )
    with pytest.raises(BadRow, match='has "AC" where yes or no is needed'):
        await said_by(site.settings(), Import(sessions, None))


async def test_tls_is_as_the_address_says(site: Site, server: MariaDb, tmp_path: Path) -> None:
    cipher = "(SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'SSL_CIPHER')"
    query = (
        f"SELECT 1 AS `key`, 2 AS user_id, 3 AS problem_id, 1 AS completed, now() AS completed_at, {cipher} AS language"
    )
    wanted, other = Import(Sessions(query=query), None), tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    encrypted = ("", "?ssl-mode=REQUIRED", f"?ssl-ca={server.authority}")
    for parameters in (*encrypted, f"?ssl-mode=verify_identity&ssl-ca={server.authority}"):
        _, solves, _ = await said_by(site.settings(parameters), wanted)
        assert solves[0].language.startswith("TLS"), parameters
    _, solves, _ = await said_by(site.settings("?ssl-mode=DISABLED"), wanted)
    assert solves[0].language == ""
    with pytest.raises(SourceUnusable, match="ssl-ca in SOURCE_DATABASE_URL names the authority"):
        await said_by(site.settings(f"?ssl-mode=verify_identity&ssl-ca={other}"), wanted)


async def test_a_socket_is_an_address_too(site: Site, server: MariaDb) -> None:
    site.run(TABLES)
    _, solves, _ = await said_by(site.settings(f"?socket={server.folder / 's'}"), Import(SESSIONS, None))
    assert len(solves) == 200


async def test_a_lost_connection_says_so(site: Site) -> None:
    site.run(TABLES)
    source = await open_source(site.settings())
    async with aclosing(source.pages(SESSIONS, None, 10)) as pages:
        await anext(pages)
        site.kill_readers()
        with pytest.raises(SourceUnusable, match="the connection to the source database was lost"):
            await anext(pages)
    await source.close()


async def test_an_interrupt_ends_a_slow_statement(site: Site) -> None:
    """A thread that goes on would hold the program until the statement has ended."""
    query = ONE.format("sleep(300)")
    reading = asyncio.create_task(said_by(site.settings(), Import(Sessions(query=query), None)))

    async def started() -> bool:
        return await asyncio.to_thread(site.sleeping)

    await until(started, "the slow statement")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    site.kill_readers()
