"""Admins managed from the shell, without a secret in its history or in the list of processes."""

import asyncio
import os
import pty
import pwd
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

import pytest

from solve_api.identity.accounts import account_of
from solve_api.identity.lockouts import may_try
from solve_api.identity.passwords import is_right
from solve_api.identity.sessions import now, open_session
from solve_api.identity.tokens import PREFIX, Scope, bearer_of
from tests.api.cli.commands import OTHER, admin, done
from tests.api.served import NAME, PASSWORD, settings_of
from tests.world import World


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
