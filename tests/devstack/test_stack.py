"""The local stack: starts, comes back with its data, and says clearly why it cannot."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from devstack import Kafka, Postgres, Stack, StackError, Valkey
from devstack import kafka as kafka_module
from devstack import ports as ports_module
from devstack import postgres as postgres_module
from devstack import server as server_module
from devstack import turns as turns_module
from devstack.ports import free_port


def devstack(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    where = [] if words[0] == "run" else ["--folder", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "devstack", words[0], *where, *words[1:]], capture_output=True, text=True, check=False
    )


def test_up_env_status_and_down_work_on_the_same_servers(tmp_path: Path) -> None:
    try:
        up = devstack(tmp_path, "up")
        assert up.returncode == 0, up.stderr
        assert [line.split("=")[0] for line in up.stdout.splitlines()] == [
            "KAFKA_BOOTSTRAP_SERVERS",
            "DATABASE_URL",
            "REDIS_URL",
        ]
        assert devstack(tmp_path, "env").stdout == up.stdout
        with (tmp_path / ".env").open("w") as file:
            file.write("# of the user\n")
            file.flush()
            (tmp_path / ".env").chmod(0o644)
            words = [sys.executable, "-m", "devstack", "env", "--folder", str(tmp_path)]
            subprocess.run(words, stdout=file, check=True)
        assert (tmp_path / ".env").read_text().endswith(up.stdout)
        assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
        assert devstack(tmp_path, "status").returncode == 0

        again = devstack(tmp_path, "up")
        assert (again.stdout, again.returncode) == (up.stdout, 0)
        assert "already running" in again.stderr

        state = json.loads((tmp_path / "stack.json").read_text())
        psutil.Process(state["valkey"]["pid"]).kill()
        Valkey(tmp_path / "valkey").answers()
        broken = devstack(tmp_path, "env")
        assert broken.returncode == 1
        assert "valkey not running" in broken.stderr
        assert devstack(tmp_path, "up").stdout == up.stdout
    finally:
        down = devstack(tmp_path, "down")
    assert down.returncode == 0, down.stderr
    assert "nothing runs" in devstack(tmp_path, "down").stderr
    assert devstack(tmp_path, "status").returncode == 1


def test_the_superusers_password_is_in_no_command_line_and_in_one_file_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []

    def finish(words: list[str], *others: object, **variables: str) -> subprocess.CompletedProcess[str]:
        lines.append(" ".join(words))
        return server_module.finish(words, *others, **variables)  # type: ignore[arg-type]

    monkeypatch.setattr(postgres_module, "finish", finish)
    server = Postgres(tmp_path / "postgres")
    server.start()
    try:
        password = server.url().split(":")[2].partition("@")[0]
        lines += [" ".join(psutil.Process(server.pid).cmdline())]
        assert len(lines) >= 4  # initdb, pg_isready, psql, the server
        assert [line for line in lines if password in line] == []
        holding = [path for path in server.folder.glob("*") if path.is_file() and password in path.read_text()]
        assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in holding] == [("postgres.password", 0o600)]
    finally:
        server.stop()


def test_a_cluster_id_that_begins_with_a_dash_is_an_id_and_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_module.uuid, "uuid4", lambda: uuid.UUID(int=0xFA << 120))  # base64: "-g…"
    tmp_path.joinpath("kafka").mkdir()
    kafka = Kafka(tmp_path / "kafka")
    kafka.prepare()
    assert "cluster.id=-gAAA" in (kafka.data / "meta.properties").read_text()


def test_run_passes_the_environment_and_the_exit_status_on_and_stops_the_servers(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['REDIS_URL']); sys.exit(7)"
    done = devstack(tmp_path, "run", "--", sys.executable, "-c", code)
    assert done.returncode == 7, done.stderr
    port = int(done.stdout.strip().rsplit(":", 1)[1].split("/")[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_run_gives_postgresql_more_memory(tmp_path: Path) -> None:
    code = """if True:
        import asyncio, asyncpg, os
        async def ask():
            database = await asyncpg.connect(os.environ["DATABASE_URL"])
            print(await database.fetchval("SHOW shared_buffers"))
        asyncio.run(ask())"""
    done = devstack(tmp_path, "run", "--shared-buffers", "64MB", "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "64MB"), done.stderr


def test_a_command_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    done = devstack(tmp_path, "run", "--", "no-such-command")
    assert done.returncode == 1
    assert done.stderr.startswith("devstack: cannot run no-such-command")


def test_data_survives_a_restart_and_a_kill(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    server.start()
    port = server.port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"SET kept yes\r\n")
        assert connection.recv(9).startswith(b"+OK")
    server.stop()
    server.start()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET kept\r\n")
        assert b"yes" in connection.recv(64)
    server.kill()
    assert not server.running()
    server.start()
    server.stop()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} is in use"):
            Valkey(tmp_path, port).start()


def test_starting_twice_is_refused(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    server.start()
    try:
        with pytest.raises(StackError, match="runs already"):
            server.start()
    finally:
        server.stop()


def test_a_stale_or_reused_process_id_is_not_mistaken_for_a_server(tmp_path: Path) -> None:
    state = {
        "valkey": {"port": 1, "pid": os.getpid(), "created_at": 1.0},
        "kafka": {"port": 2},
        "postgres": {"port": 3},
    }
    (tmp_path / "stack.json").write_text(json.dumps(state))
    assert not Stack(tmp_path).valkey.running()
    state["valkey"]["pid"] = 2**22 + 1
    (tmp_path / "stack.json").write_text(json.dumps(state))
    assert not Stack(tmp_path).valkey.running()


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(StackError, match=r"stack\.json is damaged"):
        Stack(tmp_path)


@pytest.fixture
def no_jars_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user who has started no stack before."""
    for module in (kafka_module, turns_module):
        monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    kafka_module.jars.cache_clear()
    yield
    kafka_module.jars.cache_clear()


@pytest.mark.usefixtures("no_jars_yet")
def test_no_network_for_the_jars_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jars in the cache and a repository that answers; the network cannot really be cut here."""

    def nothing(*_: object, **__: object) -> None:
        raise ConnectionError("network is unreachable")

    monkeypatch.setattr(kafka_module.jgo, "build", nothing)
    with pytest.raises(StackError, match="cannot fetch the jars of Kafka"):
        Kafka(tmp_path).start()


@pytest.mark.usefixtures("no_jars_yet")
def test_stacks_that_start_at_once_fetch_the_jars_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch() -> tuple[Path, ...]:
        fetched.append("started")
        time.sleep(0.05)  # in which the others, who began at the same moment, would get in
        jar = tmp_path / "kafka.jar"
        jar.touch()
        fetched.append("done")
        return (jar,)

    monkeypatch.setattr(kafka_module, "_fetch_jars", fetch)
    start = threading.Barrier(4)

    def ask(_: int) -> tuple[Path, ...]:
        start.wait()
        return kafka_module.jars.__wrapped__()

    with ThreadPoolExecutor(4) as stacks:
        found = list(stacks.map(ask, range(4)))
    assert fetched == ["started", "done"]
    assert set(found) == {(tmp_path / "kafka.jar",)}
    (tmp_path / "kafka.jar").unlink()
    kafka_module.jars.__wrapped__()
    assert fetched == ["started", "done"] * 2


def test_a_cache_that_cannot_be_made_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nonexistent")
    with pytest.raises(StackError, match="set XDG_CACHE_HOME"):
        kafka_module.jars.__wrapped__()


def test_a_port_is_kept_for_the_server_that_is_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even another stack that draws the same number gets it, while a server can still listen there."""
    port = free_port()
    monkeypatch.setattr(ports_module, "PORTS", range(port, port + 1))
    with pytest.raises(StackError, match="no free port"):
        free_port()
    with socket.create_server(("127.0.0.1", port)):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    class Broken(Valkey):
        def command(self) -> list[str]:
            return [*super().command(), "--no-such-option", "yes"]

    with pytest.raises(StackError, match="ended while starting"):
        Broken(tmp_path).start()
