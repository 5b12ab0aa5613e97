"""Mapping files: those of judges in docs/mappings, on tables with their own column names, and what is wrong in one."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from solve_sources.errors import SourceUnusable
from solve_sources.reconciliation.wanted import WantedSolve
from solve_sources.tables.mapping import Mapping, read_mapping
from solve_sources.tables.problem_sessions import Import
from solve_sources.tables.settings import SourceSettings
from tests.mariadb import Site
from tests.sources.outbox import public_tables
from tests.sources.tables.reading import said_by
from tests.world import World

MAPPINGS = Path(__file__).parents[3] / "docs" / "mappings"
HUSTOJ = """
CREATE TABLE solution (
    solution_id int(11) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, problem_id int(11) NOT NULL DEFAULT 0,
    user_id char(48) NOT NULL, nick char(20) NOT NULL DEFAULT '', in_date datetime NOT NULL,
    result smallint(6) NOT NULL DEFAULT '0', language int unsigned NOT NULL DEFAULT '0', contest_id int(11) DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE users (
    user_id varchar(48) NOT NULL DEFAULT '' PRIMARY KEY, defunct char(1) NOT NULL DEFAULT 'N',
    reg_time datetime DEFAULT NULL, nick varchar(20) NOT NULL DEFAULT ''
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4;
INSERT INTO users VALUES ('ada', 'N', '2020-01-01 08:00', '爱达'), ('bot', 'Y', '2020-01-01 08:00', '');
INSERT INTO solution (problem_id, user_id, in_date, result, language) VALUES
    (1000, 'ada', '2021-01-01 08:00', 4, 1), (1000, 'ada', '2021-01-01 09:00', 4, 1), (1001, 'ada', '2021-01-01', 6, 1),
    (1001, 'bot', '2021-01-01', 0, 0), (0, 'ada', '2021-01-01', 4, 1);
"""
DMOJ = """
CREATE TABLE auth_user (id int PRIMARY KEY, username varchar(150) NOT NULL, date_joined datetime(6) NOT NULL);
CREATE TABLE judge_profile (id int PRIMARY KEY, user_id int NOT NULL UNIQUE, is_unlisted tinyint(1) NOT NULL);
CREATE TABLE judge_problem (
    id int PRIMARY KEY, is_public tinyint(1) NOT NULL, is_organization_private tinyint(1) NOT NULL
);
CREATE TABLE judge_submission (
    id int AUTO_INCREMENT PRIMARY KEY, date datetime(6) NOT NULL, result varchar(3), status varchar(2) NOT NULL,
    judged_date datetime(6), contest_object_id int, language_id int NOT NULL, problem_id int NOT NULL,
    user_id int NOT NULL, case_points double NOT NULL, case_total double NOT NULL, is_archived tinyint(1) NOT NULL
);
INSERT INTO judge_problem VALUES (1000, 1, 0), (1001, 1, 0), (1002, 0, 0), (1003, 1, 1);
INSERT INTO auth_user VALUES (7, 'ada', '2020-01-01'), (8, 'bot', '2020-01-01');
INSERT INTO judge_profile VALUES (3, 7, 0), (4, 8, 1);
INSERT INTO judge_submission VALUES
    (1, '2021-01-01', 'AC', 'D', '2021-01-01 00:00:05', 9, 1, 1000, 3, 10, 10, 0),
    (2, '2021-01-01', 'WA', 'D', '2021-01-01', NULL, 1, 1001, 3, 9, 10, 0),
    (3, '2021-01-01', NULL, 'QU', NULL, NULL, 1, 1001, 3, 0, 0, 0),
    (4, '2021-01-01', 'AC', 'D', '2021-01-01', NULL, 1, 1001, 3, 9, 10, 0),
    (5, '2021-01-01', 'AC', 'D', '2021-01-01', NULL, 1, 1001, 3, 10, 10, 1),
    (6, '2021-01-01', 'AC', 'D', '2021-01-01', NULL, 1, 1002, 3, 10, 10, 0),
    (7, '2021-01-01', 'AC', 'D', '2021-01-01', NULL, 1, 1003, 3, 10, 10, 0),
    (8, '2021-01-01', 'AC', 'D', NULL, NULL, 1, 1001, 4, 10, 10, 0);
"""


async def test_the_mapping_of_hustoj(site: Site) -> None:
    site.run(HUSTOJ)
    users, solves, done = await said_by(site.settings(), mapped("hustoj"))
    assert [(one.user_id, one.username, one.listed) for one in users] == [("ada", "爱达", True), ("bot", "bot", False)]
    assert {(one.submission_id, one.user_id, one.problem_id, one.language) for one in solves} == {
        ("1", "ada", "1000", "1"),
        ("2", "ada", "1000", "1"),
    }
    assert solves[0].submitted_at == datetime(2021, 1, 1, tzinfo=UTC)
    assert done.not_completed == 2


async def test_the_mapping_of_dmoj(site: Site) -> None:
    site.run(DMOJ)
    users, solves, done = await said_by(site.settings(), mapped("dmoj"))
    assert [(one.user_id, one.username, one.listed) for one in users] == [("3", "ada", True), ("4", "bot", False)]
    sent = datetime(2021, 1, 1, tzinfo=UTC)
    assert solves == [
        WantedSolve("3", "1000", "1", sent.replace(second=5), sent, "1", "9"),
        WantedSolve("4", "1001", "8", sent, sent, "1"),
    ]
    assert done.not_completed == 6


QINGDAOU = """
CREATE TABLE "user" (
    id serial PRIMARY KEY, username text UNIQUE NOT NULL, create_time timestamptz, admin_type text NOT NULL,
    is_disabled boolean NOT NULL
);
CREATE TABLE submission (
    id text PRIMARY KEY, contest_id int, problem_id int NOT NULL, create_time timestamptz NOT NULL,
    user_id int NOT NULL, username text NOT NULL, code text NOT NULL, result int NOT NULL, language text NOT NULL
);
INSERT INTO "user" VALUES (3, 'ada', '2020-01-01Z', 'Regular User', false), (4, 'bot', '2020-01-01Z', 'Admin', true);
INSERT INTO submission VALUES
    ('f00', NULL, 7, '2021-01-01Z', 3, 'ada', '', 0, 'C++'), ('f01', 2, 8, '2021-01-01Z', 3, 'ada', '', 8, 'C++'),
    ('f02', 2, 8, '2021-01-01Z', 3, 'ada', '', 6, 'C++');
"""


async def test_the_mapping_of_qingdaou(world: World) -> None:
    async with world.database() as connection:
        await connection.execute(QINGDAOU)
    settings = SourceSettings(source_database_url=world.settings.database_url)
    users, solves, done = await said_by(settings, mapped("qingdaou"))
    assert [(one.user_id, one.username, one.listed) for one in users] == [("3", "ada", True), ("4", "bot", False)]
    sent = datetime(2021, 1, 1, tzinfo=UTC)
    assert solves == [WantedSolve("3", "7", "f00", sent, sent, "C++")]
    assert done.not_completed == 2


CMS_ROWS = """
INSERT INTO contests (name) VALUES ('day 1');
INSERT INTO users (first_name, last_name, username) VALUES ('Ada', 'L.', 'ada'), ('', '', 'bot');
INSERT INTO participations (contest_id, user_id, hidden) VALUES (1, 1, false), (1, 2, true);
INSERT INTO tasks (contest_id, name) VALUES (1, 'a'), (1, 'b');
INSERT INTO datasets (task_id) VALUES (1), (1), (2);
UPDATE tasks SET active_dataset_id = 1 + id;
INSERT INTO submissions (participation_id, task_id, language, official, "timestamp") VALUES
    (1, 1, 'C++17', true, '2021-01-01'), (1, 1, NULL, true, '2021-01-01'), (1, 2, NULL, false, '2021-01-01'),
    (2, 2, NULL, true, '2021-01-01'), (1, 2, NULL, true, '2021-01-01');
INSERT INTO submission_results (submission_id, dataset_id, score) VALUES
    (1, 1, 0), (1, 2, 100), (2, 1, 100), (2, 2, 99.5), (3, 3, 100), (4, 3, 100), (5, 3, NULL);
"""


async def test_the_mapping_of_cms(world: World) -> None:
    async with world.database() as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute("CREATE SCHEMA cms; SET search_path = cms;" + public_tables.CMS + CMS_ROWS)
        await connection.execute(f'ALTER DATABASE "{name}" SET search_path = cms')
    settings = SourceSettings(source_database_url=world.settings.database_url)
    users, solves, done = await said_by(settings, mapped("cms"))
    assert [(one.user_id, one.username) for one in users] == [("1", "Ada L."), ("2", "bot")]
    sent = datetime(2021, 1, 1, tzinfo=UTC)
    assert solves == [WantedSolve("1", "1", "1", sent, sent, "C++17", "1")]
    assert done.not_completed == 4


async def test_the_mapping_of_domjudge(site: Site) -> None:
    site.run(public_tables.DOMJUDGE)
    site.run(
        "INSERT INTO contest (name) VALUES ('finals');\nINSERT INTO problem (name) VALUES ('a');\n"
        "INSERT INTO language VALUES ('cpp', 'C++');\nINSERT INTO contestproblem VALUES (1, 1, 'A');\n"
        "INSERT INTO team (name, display_name, enabled) VALUES ('ada', 'Ada', 1), ('bot', NULL, 0);\n"
        "INSERT INTO submission (cid, teamid, probid, langid, submittime, valid) VALUES "
        "(1, 1, 1, 'cpp', 1609459200.5, 1), "
        "(1, 1, 1, 'cpp', 1609459200, 0), (1, 2, 1, 'cpp', 1609459200, 1), (1, 2, 1, 'cpp', 1609459200, 1);\n"
        "INSERT INTO judging (cid, submitid, result, valid, endtime) VALUES "
        "(1, 1, 'wrong-answer', 0, 1609459201), (1, 3, NULL, 1, 1), "
        "(1, 1, 'correct', 1, 1609459203), (1, 2, 'correct', 1, 1609459203), (1, 3, 'correct', 0, 1)"
    )
    users, solves, done = await said_by(site.settings(), mapped("domjudge"))
    assert [(one.user_id, one.username, one.listed) for one in users] == [("1", "Ada", True), ("2", "bot", False)]
    sent = datetime(2021, 1, 1, microsecond=500_000, tzinfo=UTC)
    assert solves == [WantedSolve("1", "1", "1", sent.replace(second=3, microsecond=0), sent, "cpp", "1")]
    assert done.not_completed == 3


def test_every_mapping_of_the_docs_is_tried_here() -> None:
    assert sorted(file.stem for file in MAPPINGS.iterdir()) == ["cms", "dmoj", "domjudge", "hustoj", "qingdaou"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[attempts", "is not TOML: Expected"),
        ("\xff", "is not TOML: "),
        ("", "`attempts` is missing"),
        ("[attempts]\ntabel = 'x'", "`attempts.tabel`"),
        ("[attempts]\ntable = 5", "`attempts.table`"),
        ("[attempts]\nsolved = []", "must be the values that count as solved"),
        ("[attempts]\nsolved = [{}]", "must be the values that count as solved"),
        ("[attempts]\n[user]", "`user`"),
        ("default_time = 2020-01-01T00:00:00\n[attempts]", "`default_time`"),
        ("timezone = 'Mars'\n[attempts]", 'timezone "Mars" is not a time zone'),
    ],
)
def test_what_is_wrong_in_a_mapping_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "attempts.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceUnusable) as refused:
        read_mapping(file).times()
    assert said in str(refused.value), refused.value


def test_a_mapping_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "attempts.toml"
    file.write_bytes(b"\xef\xbb\xbf[attempts]\r\ntable = 'x'\r\n")
    assert read_mapping(file).attempts.table == "x"


def test_a_mapping_says_everything_once(tmp_path: Path) -> None:
    file = tmp_path / "attempts.toml"
    file.write_text(
        "default_time = 2020-01-01T00:00:00Z\n"
        "[attempts]\ntable = 'a'\nsolved = ['AC', 'OK', 1, true]\n[prefix]\nproblem_id = 'x:'\n"
    )
    said = read_mapping(file)
    assert isinstance(said, Mapping)
    assert said.attempts.solved == {"AC", "OK", "1", "true"}
    assert (said.users, said.prefix.problem_id, said.prefix.user_id) == (None, "x:", "")
    assert said.times().default_time == datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(SourceUnusable, match=r"cannot read .*: No such file"):
        read_mapping(tmp_path / "none.toml")


def mapped(name: str) -> Import:
    said = read_mapping(MAPPINGS / f"{name}.toml")
    return Import(said.attempts, said.users, said.times(), prefix=said.prefix)


async def test_the_command_reads_a_mapping(world: World, site: Site, tmp_path: Path) -> None:
    site.run(HUSTOJ)
    file = MAPPINGS / "hustoj.toml"
    done = await command(world, site.url(), "--mapping", str(file), "--dry-run")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["user.registered.v1"] * 2 + ["submission.solved.v1"] * 2
    refused = await command(world, site.url(), "--mapping", str(file), "--table", "solution")
    assert (refused.returncode, refused.stderr.count(b"\n")) == (1, 1), refused.stderr
    assert b"but not both" in refused.stderr
    unreachable = site.url().replace(str(site.server.port), "1")
    lost = await command(world, unreachable, "--mapping", str(file), "--dry-run")
    assert (lost.returncode, lost.stderr.count(b"\n")) == (1, 1), lost.stderr
    assert b"cannot connect to the source database at 127.0.0.1:1: " in lost.stderr


async def command(world: World, source: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    arguments = [sys.executable, "-m", "solve_producer", "import", "problem-sessions", *words]
    environment = world.environment | {"SOURCE_DATABASE_URL": source}
    return await asyncio.to_thread(subprocess.run, arguments, capture_output=True, env=environment, check=False)
