"""TCP ports that nobody else takes before their server has started."""

import atexit
import random
import socket
import sys

from devstack.errors import StackError

HOST = "127.0.0.1"
# Below those of outgoing connections, which begin at 32768 on Linux and at 49152 elsewhere.
PORTS = range(20_000, 32_000)
PORTS_TRIED = 100


def free_port() -> int:
    """A TCP port that nothing has at this moment, and that no other process gets from here while this one lives.

    Not one that the kernel offers: it gives those to outgoing connections as well, perhaps before a server that needs
    seconds to start has taken its own. Raises StackError where all that were tried are taken.
    """
    for _ in range(PORTS_TRIED):
        port = random.choice(PORTS)  # noqa: S311 - two stacks that start at once should not try the same ones
        if _keep(port):
            return port
    raise StackError(f"no free port: {PORTS_TRIED} between {PORTS.start} and {PORTS.stop} are all taken")


def _keep(port: int) -> bool:
    """Binds without listening: who binds as we do is refused, a server may still listen (Linux' SO_REUSEADDR)."""
    kept = socket.socket()
    try:
        kept.bind((HOST, port))
    except OSError:
        kept.close()
        return False
    if sys.platform == "linux":
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        atexit.register(kept.close)
    else:
        kept.close()
    return True
