"""Admins managed from the shell, without a secret in its history or in the list of processes."""

import asyncio
import json
import os
import pty
import pwd
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from typer.main import get_command

from solve_api.cli.admin import admin_commands
from solve_api.cli.refused_commands import WORDS_MAX, recorded_words
from solve_api.identity.accounts import account_of, create_admin, disable
from solve_api.identity.lockouts import may_try
from solve_api.identity.passwords import is_right
from solve_api.identity.sessions import now, open_session
from solve_api.identity.tokens import PREFIX, TOKEN_BYTES, NewToken, Scope, bearer_of, create_token
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

OTHER = "another battery of staples"
COMMANDS_OF_ADMIN = admin_commands.registered_commands
Done = subprocess.CompletedProcess[str]


async def admin(world: World, *words: str, given: str = "", **changes: str) -> Done:
    """`solve-api admin …`, with that as its input."""
    return await command_line(world, "admin", *words, given=given, **changes)


async def command_line(world: World, *words: str, given: str = "", **changes: str) -> Done:
    """`solve-api …`, with that as its input."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "solve_api", *words],
        input=given,
        capture_output=True,
        # a dozen at once may rest in a transaction for longer than the two seconds of other tests
        env=world.environment | {"SOLVE_TRANSACTION_IDLE_TIMEOUT_MS": "30000"} | changes,
        text=True,
        check=False,
    )


async def done(world: World, *words: str, given: str = "") -> Any:
    """What it prints as JSON."""
    found = await admin(world, *words, "--json", given=given)
    assert (found.returncode, found.stderr) == (0, "")
    return json.loads(found.stdout)


async def is_password(world: World, password: str, name: str = NAME) -> bool:
    async with world.database() as database:
        account = await account_of(database, name)
        assert account
        return await is_right(password, account.password_hash)


def typed(world: World, words: Sequence[str], lines: Sequence[str]) -> tuple[int, str]:
    """At a terminal: each line when it is asked for. The status, and everything that stood on the screen."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "solve_api", "admin", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=world.environment,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        screen = b""
        waiting = list(lines)
        while True:
            try:
                shown = os.read(ours, 4_096)
            except OSError:  # the other side is closed
                break
            if not shown:
                break
            screen += shown
            if waiting and screen.endswith((b"Password: ", b"Confirm password: ")):
                os.write(ours, waiting.pop(0).encode() + b"\n")
    os.close(ours)
    return process.returncode, screen.decode()


async def test_from_nobody_to_an_admin_who_left(world: World) -> None:
    assert (await admin(world, "list")).stdout == "no admins; create one with: solve-api admin create NAME\n"
    made = await done(world, "create", "Ada", given=f"{PASSWORD}\n")
    assert made["name"] == NAME
    assert await is_password(world, PASSWORD)
    async with world.database() as database:
        ada = await account_of(database, NAME)
        assert ada
        for _ in range(2):
            assert await open_session(database, settings_of(world), ada, "", now())
    (listed,) = await done(world, "list")
    assert (listed["name"], listed["sessions"], listed["tokens"], listed["disabled_at"]) == (NAME, 2, 0, None)
    assert await done(world, "password", NAME, given=f"{OTHER}\r\n") == {"sessions_ended": 2}
    assert await is_password(world, OTHER)
    assert await done(world, "logout-everywhere", NAME) == {"sessions_ended": 0}
    assert await done(world, "disable", NAME) == {"sessions_ended": 0}
    assert (await done(world, "list"))[0]["disabled_at"]
    assert (await admin(world, "enable", NAME)).stdout == "ada can log in again\n"
    rows = list(reversed(await done(world, "activity")))
    logged = [(one["action"], one["via"], one["detail"]["about"]) for one in rows if "about" in one["detail"]]
    assert logged == [
        ("create-admin", "cli", NAME),
        ("change-password", "cli", NAME),
        ("logout-everywhere", "cli", NAME),
        ("disable-admin", "cli", NAME),
        ("enable-admin", "cli", NAME),
    ]
    assert [one["action"] for one in rows].count("list-admins") == 3
    assert {one["who"] for one in rows} == {pwd.getpwuid(os.getuid()).pw_name}


async def test_a_locked_name_is_unlocked(world: World) -> None:
    settings = settings_of(world)
    async with world.database() as database:
        while await may_try(database, settings, "nobody", now()):
            pass
        assert await done(world, "unlock", "nobody") == {"was_locked": True}
        assert await may_try(database, settings, "nobody", now())
    assert (await admin(world, "unlock", "ada")).stdout == "ada was not locked\n"


async def test_a_token_is_printed_once_and_alone_on_standard_output(world: World) -> None:
    await done(world, "create", NAME, given=PASSWORD)
    asked = ("token", NAME, "--label", "nightly", "--scope", "read", "--scope", "repair", "--days", "30")
    found = await admin(world, *asked)
    raw = found.stdout.strip()
    assert raw.startswith(PREFIX)
    assert "shown this once" in found.stderr
    assert raw not in found.stderr
    second = await done(world, *asked)
    async with world.database() as database:
        for token in (raw, second["token"]):
            bearer = await bearer_of(database, token, now())
            assert bearer
            assert bearer.scopes == {Scope.READ, Scope.REPAIR}
        listed = await admin(world, "tokens")
        everything = listed.stdout + str(await done(world, "activity")) + str(await done(world, "tokens"))
        assert raw.removeprefix(PREFIX) not in everything
        assert second["token"].removeprefix(PREFIX) not in everything
        ended = await admin(world, "revoke-token", str(second["token_id"]))
        assert ended.stdout == f"token {second['token_id']} of ada (nightly) is revoked\n"
        assert await bearer_of(database, second["token"], now()) is None
        assert await bearer_of(database, raw, now())


async def test_at_a_terminal_the_password_is_asked_twice_and_not_shown(world: World) -> None:
    status, screen = await asyncio.to_thread(typed, world, ("create", NAME), (PASSWORD, PASSWORD))
    assert status == 0
    assert screen.count("Password:") == screen.count("Confirm password:") == 1
    assert PASSWORD not in screen
    assert await is_password(world, PASSWORD)
    status, screen = await asyncio.to_thread(typed, world, ("password", NAME), (OTHER, PASSWORD))
    assert status == 1
    assert "the two passwords differ; type the same one twice" in screen
    assert not await is_password(world, OTHER)
    assert await world.value("SELECT result FROM admin_audit WHERE action = 'change-password'") == "refused"


@pytest.mark.parametrize("given", [None, b"\xff" * 20 + b"\n", b"x" * 1_000_000], ids=["closed", "no text", "endless"])
async def test_a_password_that_cannot_be_read_is_one_line_and_a_row(world: World, given: bytes | None) -> None:
    """Closed, it must not be taken for a connection that gets its number."""
    words = [sys.executable, "-m", "solve_api", "admin", "create", NAME]
    command = ["sh", "-c", 'exec "$0" "$@" <&-', *words] if given is None else words
    environment = world.environment | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    run = partial(subprocess.run, command, input=given, capture_output=True, env=environment, check=False)
    found = await asyncio.to_thread(run)
    (line,) = found.stderr.decode().splitlines()
    assert (found.returncode, found.stdout) == (1, b"")
    assert line.startswith(
        "solve-api: standard input is" if given is None or len(given) < 100 else "solve-api: a password"
    )
    assert await world.value("SELECT result FROM admin_audit WHERE action = 'create-admin'") == "refused"


@pytest.mark.parametrize("command", ["create", "password"])
async def test_a_password_is_no_argument(world: World, command: str) -> None:
    assert (await admin(world, command, NAME, PASSWORD)).returncode == 2
    assert (await admin(world, command, NAME, "--password", PASSWORD)).returncode == 2
    assert await world.value("SELECT count(*) FROM admins") == 0


async def test_what_cannot_be_done_is_one_line_with_what_to_do(world: World) -> None:
    await done(world, "create", NAME, given=PASSWORD)
    asked = (
        (("create", "bob"), "password1234", "too easy to guess"),
        (("create", "bob"), "", "12 to 128 characters, and this one has 0"),
        (("create", NAME), PASSWORD, "to set a new password, run: solve-api admin password ada"),
        (("create", "a b"), PASSWORD, "choose another name"),
        (("password", "nobody"), PASSWORD, "to list the admins, run: solve-api admin list"),
        (("disable", "nobody"), "", "to list the admins, run: solve-api admin list"),
        (("enable", "nobody"), "", "to list the admins, run: solve-api admin list"),
        (("logout-everywhere", "nobody"), "", "to list the admins, run: solve-api admin list"),
        (("unlock", "a b"), "", "choose another name"),
        (("token", "nobody", "--label", "x", "--scope", "read"), "", "to list the admins, run: solve-api admin list"),
        (("token", NAME, "--label", " ", "--scope", "read"), "", "name what uses it"),
        (("revoke-token", "77"), "", "to list the tokens, run: solve-api admin tokens"),
    )
    answers = await asyncio.gather(*(admin(world, *words, given=given) for words, given, _ in asked))
    for (words, given, said), found in zip(asked, answers, strict=True):
        assert (found.returncode, found.stdout) == (1, ""), words
        (line,) = found.stderr.splitlines()
        assert line.startswith("solve-api: "), line
        assert said in line
        assert given == "" or given not in line
    rows = await world.fetch("SELECT action, result, detail ->> 'error' AS error FROM admin_audit")
    assert sorted(row["action"] for row in rows if row["result"] == "refused") == [
        "change-password", "create-admin", "create-admin", "create-admin", "create-admin", "create-token",
        "create-token", "disable-admin", "enable-admin", "logout-everywhere", "revoke-token", "unlock",
    ]  # fmt: skip
    assert [(row["action"], row["error"]) for row in rows if row["result"] == "done"] == [("create-admin", None)]
    assert all(row["error"] for row in rows if row["result"] == "refused")
    everything = await world.value("SELECT string_agg(admin_audit::text, ' ') FROM admin_audit")
    for secret in (PASSWORD, "password1234", "a b"):
        assert secret not in everything


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


async def test_who_is_the_systems_user_beside_whom_the_environment_claims(world: World) -> None:
    await admin(world, "list", LOGNAME="grace", SUDO_USER="linus")
    (found,) = await done(world, "activity")
    assert found["who"] == pwd.getpwuid(os.getuid()).pw_name
    assert found["detail"]["claimed"] == {"LOGNAME": "grace", "SUDO_USER": "linus"}
    assert "claimed: LOGNAME: grace; SUDO USER: linus" in " ".join(
        (await admin(world, "activity", COLUMNS="200")).stdout.split()
    )


async def test_without_the_database_it_is_one_line_too(world: World) -> None:
    world.environment["DATABASE_URL"] = "postgresql://127.0.0.1:1/nowhere"
    found = await admin(world, "list")
    assert found.returncode == 1
    (line,) = found.stderr.splitlines()
    assert "PostgreSQL" in line


async def test_text_from_outside_steers_no_terminal(world: World) -> None:
    await world.fetch(
        "INSERT INTO admin_audit (who, via, action, detail, result) "
        "VALUES (E'\\x1b[2J', 'x', 'y', jsonb_build_object('z', E'\\x1b]0;title\\x07'), 'done')"
    )
    for words in (("activity",), ("activity", "--json")):
        found = await admin(world, *words)
        assert found.returncode == 0
        assert not {"\x1b", "\x07"} & set(found.stdout)
