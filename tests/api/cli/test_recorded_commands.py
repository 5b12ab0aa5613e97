"""Commands and the activity: each has its row, no row holds a secret, and without the row nothing is done."""

import asyncio
import json
import os
import pwd
import secrets
import socket

import pytest
from typer.main import get_command

from solve_api.cli.admin import admin_commands
from solve_api.cli.refused_commands import WORDS_MAX, recorded_words
from solve_api.identity.accounts import account_of, create_admin, disable
from solve_api.identity.lockouts import may_try
from solve_api.identity.sessions import now, open_session
from solve_api.identity.tokens import PREFIX, TOKEN_BYTES, NewToken, Scope, create_token
from tests.api.cli.commands import COMMANDS_OF_ADMIN, OTHER, admin, command_line, done
from tests.api.refused_rows import (
    ANTEDATING,
    AT_COMMIT,
    BY_A_RULE,
    CHANGING,
    DELETING,
    DELETING_AT_COMMIT,
    ELSEWHERE,
)
from tests.api.served import NAME, PASSWORD, settings_of
from tests.world import World

COMMANDS: list[tuple[tuple[str, ...], str]] = [
    (("create", "bob"), PASSWORD),
    (("list",), ""),
    (("password", NAME), OTHER),
    (("disable", NAME), ""),
    (("enable", "gone"), ""),
    (("unlock", NAME), ""),
    (("logout-everywhere", NAME), ""),
    (("token", NAME, "--label", "x", "--scope", "read"), ""),
    (("tokens",), ""),
    (("revoke-token", "1"), ""),
    (("activity",), ""),
]
STATE = """
SELECT (SELECT json_agg(row_to_json(a) ORDER BY admin_id)::text FROM admins a) AS admins,
       (SELECT count(*) FROM admin_sessions) AS sessions,
       (SELECT json_agg(row_to_json(t))::text FROM admin_tokens t) AS tokens,
       (SELECT count(*) FROM admin_lockouts) AS lockouts
"""


async def test_a_command_that_cannot_be_recorded_does_nothing(world: World) -> None:
    assert {words[0] for words, _ in COMMANDS} == {one.name or one.callback.__name__ for one in COMMANDS_OF_ADMIN}
    async with world.database() as database:
        admin_id = await create_admin(database, NAME, PASSWORD)
        await create_admin(database, "gone", PASSWORD)
        await disable(database, "gone")
        account = await account_of(database, NAME)
        assert account
        await open_session(database, settings_of(world), account, "", now())
        await create_token(database, admin_id, NewToken("x", frozenset({Scope.READ})), now())
        await may_try(database, settings_of(world), NAME, now())
        await database.execute("ALTER TABLE admin_audit ADD CONSTRAINT refuse CHECK (false)")
    before = await world.fetch(STATE)
    found = await asyncio.gather(*(admin(world, *words, given=given) for words, given in COMMANDS))
    for (words, _), one in zip(COMMANDS, found, strict=True):
        assert (one.returncode, one.stdout) == (1, ""), words
        assert "so it is not done" in one.stderr.splitlines()[-1], words
    assert await world.fetch(STATE) == before


REFUSING = {
    "at the commit": AT_COMMIT,
    "by a rule": BY_A_RULE,
    "elsewhere": ELSEWHERE,
    "elsewhere, without an answer": ELSEWHERE.replace("RETURNING *", ""),
    "deleted": DELETING,
    "deleted at the commit": DELETING_AT_COMMIT,
    "changed": CHANGING,
    "antedated": ANTEDATING,
}


@pytest.mark.parametrize("refusing", REFUSING.values(), ids=REFUSING)
async def test_a_command_whose_row_is_dropped_or_refused_late_does_nothing(world: World, refusing: str) -> None:
    async with world.database() as database:
        await database.execute(refusing)
    found = await admin(world, "create", "bob", given=PASSWORD)
    assert (found.returncode, found.stdout) == (1, "")
    assert "so it is not done" in found.stderr.splitlines()[-1]
    assert "Traceback" not in found.stderr
    assert await world.value("SELECT count(*) FROM admins") == 0
    assert await world.value("SELECT count(*) FROM admin_audit") == 0


SECRET = "hunter2-hunter2"
BARE_TOKEN = "Ab-9_" * 8 + "abc"  # without its prefix
UNPARSED = [
    ("revoke-token", "abc", "(not recorded)"),
    ("revoke-token", "12 13", "12 (not recorded)"),
    ("revoke-token", f"{PREFIX}{SECRET * 3}", "(not recorded)"),
    ("revoke-token", BARE_TOKEN, "(not recorded)"),
    ("revoke-token", SECRET, "(not recorded)"),
    ("revoke-token", "\u0661\u0662", "(not recorded)"),
    ("token", "eve --scope bogus", "eve --scope bogus"),
    ("token", "eve --label x --scope=bogus", "eve --label x --scope=bogus"),
    ("token", f"eve --label {PREFIX}{SECRET}", "eve --label (not recorded)"),
    ("token", f"eve --label {PREFIX}{BARE_TOKEN}", "eve --label (not recorded)"),
    ("token", f"eve --label {BARE_TOKEN}", "eve --label (not recorded)"),
    ("token", f"eve --label {BARE_TOKEN.lower()}", "eve --label (not recorded)"),
    ("token", f"eve --scope={BARE_TOKEN}", "eve --scope=(not recorded)"),
    ("token", f"eve --days {SECRET}", "eve --days (not recorded)"),
    ("token", "eve --days 9000", "eve --days 9000"),
    ("token", "eve --label", "eve --label"),
    ("disable", "", ""),
    ("disable", "Tr0ub4dor.Horse-9 eve", "(not recorded) (not recorded)"),
    (
        "disable",
        "somebody-who-has-an-address@judge.example eve",
        "somebody-who-has-an-address@judge.example (not recorded)",
    ),
    ("create", f"eve {SECRET}", "eve (not recorded)"),
    ("create", f"--json eve {SECRET}", "--json eve (not recorded)"),
    ("create", f"--json={SECRET} eve", "--json=(not recorded) eve"),
    ("create", f"eve --password={SECRET}", "eve (not recorded)"),
    ("create", f"--password {SECRET} eve", "(not recorded) (not recorded) (not recorded)"),
    ("create", f"-{SECRET} {SECRET}", "(not recorded) (not recorded)"),
    ("activity", "-n", "-n"),
    ("activity", "-n " + "\x1b[2J" * 50, "-n (not recorded)"),
    ("activity", "-n " + "9" * 5_000, "-n (not recorded)"),
    ("create", "eve " + "x " * 1_000, " ".join(["eve", *["(not recorded)"] * WORDS_MAX])),
]


@pytest.mark.parametrize(("command", "typed", "kept"), UNPARSED)
def test_of_what_was_typed_nothing_is_kept_that_may_be_a_secret(command: str, typed: str, kept: str) -> None:
    commands = get_command(admin_commands).commands  # type: ignore[attr-defined]
    assert " ".join(recorded_words(typed.split(), commands[command].params)) == kept


REFUSED_COMMANDS = [
    (("admin", "revoke-token", "abc"), "admin revoke-token", "(not recorded)"),
    (("admin", "token", "eve", "--scope", "bogus"), "admin token", "eve --scope bogus"),
    (("admin", "token", "eve", "--label"), "admin token", "eve --label"),
    (("admin", "lst"), "admin", "lst"),
    (("admin", "Tr0ub4dor.Horse-9"), "admin", "(not recorded)"),
    (("admin", "list", "--json=1"), "admin list", "--json=(not recorded)"),
    (("admin", "create", "eve", "--help=1"), "admin create", "eve (not recorded)"),
    (("admin", "activity", "-n"), "admin activity", "-n"),
    (("admin", "--jsn", "disable", "eve"), "admin disable", "(not recorded) (not recorded)"),
    (("--version=1", "admin", "enable", "eve"), "admin enable", "(not recorded) (not recorded)"),
    (("admin", "disable"), "admin disable", ""),
]


async def test_a_command_that_cannot_be_parsed_leaves_a_row(world: World) -> None:
    """Also where the error does not know its command."""
    found = await asyncio.gather(*(command_line(world, *words) for words, _, _ in REFUSED_COMMANDS))
    assert [one.returncode for one in found] == [2] * len(REFUSED_COMMANDS)
    rows = await world.fetch("SELECT who, via, action, result, detail::text FROM admin_audit")
    assert {tuple(row)[:4] for row in rows} == {
        (pwd.getpwuid(os.getuid()).pw_name, "cli", "refused-command", "refused")
    }
    details = [json.loads(row["detail"]) for row in rows]
    assert sorted((one["command"], one["typed"]) for one in details) == sorted(
        (command, typed) for _, command, typed in REFUSED_COMMANDS
    )
    assert {one["wrong"] for one in details if one["command"] == "admin revoke-token"} == {"token_id"}


async def test_of_what_names_nobody_nothing_is_kept_that_may_be_a_secret(world: World) -> None:
    await done(world, "create", NAME, given=PASSWORD)
    secret = "Tr0ub4dor.Horse-9"
    asked = [
        (one, word) for one in ("disable", "unlock", "enable") for word in (secret, BARE_TOKEN, BARE_TOKEN.lower())
    ]
    asked += [("token", NAME, "--scope", "read", "--label", BARE_TOKEN), ("disable", "")]
    await asyncio.gather(*(admin(world, *words) for words in asked), admin(world, "create", secret))
    everything = str(await world.value("SELECT string_agg(admin_audit::text, ' ') FROM admin_audit")).lower()
    assert secret.lower() not in everything
    assert BARE_TOKEN.lower() not in everything
    await done(world, "disable", NAME.upper())
    about = "SELECT detail ->> 'about' FROM admin_audit WHERE action = 'disable-admin' AND result = 'done'"
    assert await world.value(about) == NAME


async def test_a_command_that_cannot_be_parsed_says_so_whatever_postgresql_does(world: World) -> None:
    words = ("revoke-token", "abc")
    as_ever = await admin(world, *words)
    assert as_ever.returncode == 2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for url in ("postgresql://127.0.0.1:1/x", f"postgresql://127.0.0.1:{port}/x", "nonsense"):
            found = await admin(world, *words, DATABASE_URL=url)
            assert (found.returncode, found.stdout, found.stderr) == (2, "", as_ever.stderr)
    await world.fetch("ALTER TABLE admin_audit ADD CONSTRAINT refuse CHECK (false) NOT VALID")
    assert (await admin(world, *words)).stderr == as_ever.stderr


async def test_help_of_the_group_leaves_no_row(world: World) -> None:
    assert "Manage admins" in (await admin(world)).stderr
    assert await world.value("SELECT count(*) FROM admin_audit") == 0


async def test_a_token_is_never_kept_as_a_name(world: World) -> None:
    raw = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    found = await asyncio.gather(*(admin(world, command, raw, given=PASSWORD) for command in ("disable", "create")))
    assert [one.returncode for one in found] == [1, 1]
    everything = str(await world.value("SELECT string_agg(admin_audit::text, ' ') FROM admin_audit")).lower()
    assert raw.removeprefix(PREFIX).lower() not in everything


async def test_of_two_refusals_the_first_is_the_one_to_report(world: World) -> None:
    await world.fetch("ALTER TABLE admin_audit ADD CONSTRAINT refuse CHECK (false)")
    found = await admin(world, "create", "bob", given="password1234")
    assert (found.returncode, found.stdout) == (1, "")
    assert "too easy to guess" in found.stderr.splitlines()[-1]
    assert "so it is not done" not in found.stderr
