"""The three servers as one: started together, found again by a later command, stopped together."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from devstack.errors import StackError
from devstack.kafka import Kafka
from devstack.postgres import Postgres
from devstack.server import Server
from devstack.valkey import Valkey

STATE_FILE = "stack.json"
SomeServer = TypeVar("SomeServer", bound=Server)


class Stack:
    """Kafka, PostgreSQL and Valkey in the subfolders of one folder, whose data survives a restart."""

    def __init__(self, folder: Path, *, outlive_owner: bool = False) -> None:
        """Ports are those of the last time where the folder knows them."""
        self.folder = folder.absolute()
        state = self._read_state()

        def server(kind: type[SomeServer]) -> SomeServer:
            entry = state.get(kind.name, {})
            found = kind(self.folder / kind.name, entry.get("port"), outlive_owner=outlive_owner)
            if "pid" in entry:
                found.adopt(entry["pid"], entry["created_at"])
            return found

        self.kafka, self.postgres, self.valkey = server(Kafka), server(Postgres), server(Valkey)

    @property
    def servers(self) -> tuple[Server, ...]:
        """In the order in which they are stopped."""
        return (self.kafka, self.postgres, self.valkey)

    def start(self) -> None:
        """Starts what does not run, and waits until all answer. Raises StackError; then none is left running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stopped = [server for server in self.servers if not server.running()]
        try:
            # PDEATHSIG is sent when the *thread* that started a server ends, so only the waiting may be elsewhere
            for server in stopped:
                server.start()
        except BaseException:
            for server in stopped:
                server.stop()
            raise
        self._write_state()

    def stop(self) -> None:
        """Stops what runs, each in its clean way."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(lambda server: server.stop(), self.servers))
        self._write_state()

    def clear(self) -> None:
        """Forgets data and ports. Raises StackError while a server runs."""
        if running := [server.name for server in self.servers if server.running()]:
            raise StackError(
                f"{', '.join(running)} still run in {self.folder}; stop them first: python -m devstack down"
            )
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """What our programs read to find the servers."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.url(),
            "DATABASE_URL": self.postgres.url(),
            "REDIS_URL": self.valkey.url(),
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read_state(self) -> dict[str, Any]:
        path = self.folder / STATE_FILE
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise StackError(f"{path} is damaged ({error}); remove the folder, or start with --fresh") from error

    def _write_state(self) -> None:
        state: dict[str, dict[str, Any]] = {}
        for server in self.servers:
            state[server.name] = {"port": server.port}
            if server.running():
                pid, created_at = server.identity()
                state[server.name] |= {"pid": pid, "created_at": created_at}
        temporary = self.folder / f"{STATE_FILE}.new"
        temporary.write_text(json.dumps(state, indent=2), encoding="utf-8")
        temporary.replace(self.folder / STATE_FILE)
