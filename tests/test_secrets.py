"""No secret in any line, whatever the form in which somebody wrote it (I12): every command, and the pages of probes.

Most forms are refused before anything connects; the others meet servers that are not there.
"""

import asyncio
import json
import os
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from devstack.ports import free_port
from solve_projector.errors import ProjectorError
from solve_projector.leaderboard.redis_client import connect_redis
from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import connect
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import settings_problems
from tests.api.cli.test_serve import served
from tests.secret_forms import ADDRESSES, MISTAKES, NOWHERE, SECRET, SETTINGS
from tests.test_command_lines import ON_TABLES, Done, run_all
from tests.waiting import until
from tests.world import World

SHARE = 7
DEAD = {
    "DATABASE_URL": f"postgresql://u:{SECRET}@{NOWHERE}/x",
    "REDIS_URL": f"redis://u:{SECRET}@{NOWHERE}/0",
    "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
    "SOLVE_LOG_LEVEL": "DEBUG",
}
IMPORTS = ["solve-producer import problem-sessions", "solve-producer import problem-sessions --dry-run"]
COMMANDS = [
    *[one for one in ON_TABLES if not one.startswith("solve-api serve")],
    "solve-projector setup",
    "solve-producer publish -",
    "solve-producer simulate -n 1",
]


def run(changes: Sequence[Mapping[str, str]], commands: Sequence[str], folder: Path | None = None) -> list[Done]:
    """Every command with each of the changes, at the level that logs most."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "SOLVE_", "PG"))}
    pairs = [
        (command, one)
        for i, one in enumerate(changes)
        for j, command in enumerate(commands)
        if (i + j) % SHARE == 0  # every form with some commands, every command with some forms
    ]
    return run_all(base | DEAD, pairs, folder)


def leaks(found: Sequence[Done]) -> list[Done]:
    """Commands that show the secret, or a traceback, which may show it on another day."""
    return [one for one in found if SECRET in f"{one}" or "Traceback" in f"{one}" or one.status not in {1, 2}]


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL", "KAFKA"])
def test_no_command_shows_a_secret(variable: str) -> None:
    changes = [one for one in SETTINGS if next(iter(one)).startswith(variable)]
    assert leaks(run(changes, COMMANDS)) == []


def test_an_import_shows_no_secret_of_its_source() -> None:
    changes = [one for one in SETTINGS if "SOURCE_DATABASE_URL" in one]
    assert leaks(run(changes, IMPORTS * SHARE)) == []


def test_a_relay_shows_no_secret_of_its_outbox() -> None:
    changes = [one for one in SETTINGS if "OUTBOX_DATABASE_URL" in one]
    assert leaks(run(changes, ["solve-producer relay --once"] * SHARE)) == []


CHARACTERS = st.sampled_from([*"ab1%:/@#?&=[]'\\ \t,;+~\u00e9\u0661", "%40", "%2F", "%00", "password=", "//", "://"])
NOISE = st.lists(CHARACTERS, max_size=4).map("".join)


@st.composite
def addresses(draw: st.DrawFn, scheme: str) -> str:
    """An address with the secret somewhere in it, and noise where people make mistakes."""
    noise = [draw(NOISE) for _ in range(4)]
    form = draw(st.sampled_from([*MISTAKES[:-1], *ADDRESSES["DATABASE_URL"], *ADDRESSES["REDIS_URL"]]))
    filled = form.format(scheme=scheme, secret=f"{noise[0]}{SECRET}{noise[1]}", place=f"{NOWHERE}{noise[2]}")
    return filled + noise[3]


def accepted(**addresses: SecretStr) -> ProjectorSettings | None:
    """The settings, or None where they are refused without the secret."""
    try:
        return ProjectorSettings(**addresses)  # type: ignore[arg-type]
    except ValidationError as error:
        said = f"{settings_problems(error)}{traceback.format_exception(error)}"
    assert SECRET not in said
    return None


@given(address=addresses("postgresql"))
@settings(max_examples=150)
def test_no_error_of_postgresqls_client_shows_a_secret(address: str) -> None:
    if (found := accepted(database_url=SecretStr(address))) is None:
        return
    with pytest.raises(ProjectorError) as refused:
        asyncio.run(connect(found))
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@given(address=addresses("redis"))
@settings(max_examples=150)
def test_no_error_of_rediss_client_shows_a_secret(address: str) -> None:
    async def ping(found: ProjectorSettings) -> None:
        client = connect_redis(found)
        try:
            async with client.session() as redis:
                await redis.ping()
        finally:
            await client.aclose()

    if (found := accepted(redis_url=SecretStr(address))) is None:
        return
    with pytest.raises(ProjectorError) as refused:
        asyncio.run(ping(found))
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@given(servers=st.lists(CHARACTERS, max_size=8).map("".join))
@settings(max_examples=300)
def test_what_is_accepted_as_brokers_is_hosts_and_ports(servers: str) -> None:
    try:
        found = KafkaConnection(bootstrap_servers=f"u{servers}")
    except ValidationError:
        return
    for one in found.bootstrap_servers.split(","):
        host, _, port = one.strip().partition(":")
        assert not set("@/?#=&;' ") & set(host)
        assert not port or 1 <= int(port) <= 65_535


async def test_pages_of_metrics_and_probes_show_no_secret(world: World) -> None:
    changes = {"REDIS_URL": DEAD["REDIS_URL"], "SOLVE_LOG_LEVEL": "DEBUG", "SOLVE_API_PORT": "0"}
    dead = changes | {"DATABASE_URL": DEAD["DATABASE_URL"]}
    port = str(free_port())
    async with served(world, "--json", **dead) as api, world.process("run", SOLVE_METRICS_PORT=port, **changes) as run:
        assert api.stdout
        address = json.loads(await api.stdout.readline())["url"]
        shown = []
        async with httpx.AsyncClient(timeout=60) as client:
            paths = ("/readyz", "/livez", "/api/leaderboard", "/api/users/u", "/", "/users/u")
            shown += [(await client.get(address + path)).text for path in paths]

            async def says_what_is_missing() -> bool:
                with suppress(httpx.TransportError):
                    return "leaderboard" in (await client.get(f"http://127.0.0.1:{port}/readyz")).text
                return False

            await until(says_what_is_missing, "the projector to say that Redis is unavailable")
            paths = ("/readyz", "/livez", "/metrics")
            shown += [(await client.get(f"http://127.0.0.1:{port}{path}")).text for path in paths]
        api.terminate()
        run.terminate()
        logs = [*(await api.communicate()), *(await run.output)]  # type: ignore[attr-defined]
    assert SECRET not in "".join(shown)
    assert SECRET.encode() not in b"".join(logs)
    assert b"check REDIS_URL" in b"".join(logs)


def test_a_file_of_settings_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(f"DATABASE_URL=postgresql://u:{SECRET}\xff@h/x".encode("latin-1"))
    for one in run([{}], ["solve-projector top", "solve-api admin list", "solve-producer publish -"] * SHARE, tmp_path):
        assert (one.status, one.err.partition(": ")[2]) == (
            2,
            ".env or a file in /run/secrets is not text in UTF-8; save it as such\n",
        )


def test_a_mark_at_the_beginning_of_a_file_hides_no_variable(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfSOLVE_TOPIC=a b\n")
    for one in run([{}], ["solve-projector top"] * SHARE, tmp_path):
        assert "SOLVE_TOPIC must be" in one.err


def test_everything_that_is_wrong_is_said_at_once() -> None:
    changes = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:99999",
        "DATABASE_URL": "host=x",
        "REDIS_URL": "http://x",
        "SOURCE_DATABASE_URL": "x",
    }
    for one in run([changes], ["solve-projector lag", "solve-projector setup", "solve-api serve"] * SHARE):
        assert one.status == 2
        assert [name for name in changes if f"{name} must be" in one.err] == list(changes)[:3]
    for one in run([changes], IMPORTS[:1] * SHARE):
        assert "KAFKA_BOOTSTRAP_SERVERS must be host:port" in one.err
        assert "SOURCE_DATABASE_URL must be postgresql://" in one.err
