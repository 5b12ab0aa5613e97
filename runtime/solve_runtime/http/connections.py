"""The open connections of a process: how many there may be, and who has taken too long.

Beyond the limit of all, the connection that has waited longest for a request is closed, or for its body; one whose
request is being answered never is. One sweep a second checks every deadline, so that a request costs no timer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

import structlog

from solve_runtime.http.networks import network_of

SWEEP_INTERVAL_S = 1.0
REPORT_INTERVAL_S = 60.0
LINES_MAX = 20  # of refused requests, for each network in each interval
NETWORKS_MAX = 50  # that have such lines
ADDRESS_FULL = "too many connections of one address; more are refused"
FULL = "too many connections; more are refused"
EVICTED = "too many connections; those that wait longest are closed"
SILENT = "connections on which nothing is sent are closed"
UNREADABLE = "many requests cannot be read or are late; more are refused"
NOT_TAKEN = "clients do not take their answers; they are disconnected"

log = structlog.get_logger()


class ConnectionLimits(NamedTuple):
    """How many connections there may be, and how many seconds each part of a request may take."""

    connections: int
    per_address: int
    head_s: float
    body_s: float
    answer_s: float


class Connection(Protocol):
    """The part of a connection that is used here."""

    def check(self, now: float) -> None:
        """Ends what has taken too long."""

    def drop(self) -> None:
        """Ends it at once, without an answer."""


class Connections:
    """Those of one process. `is_exempt` knows trusted proxies, which bring the requests of many."""

    def __init__(self, limits: ConnectionLimits, is_exempt: Callable[[str], bool]) -> None:
        self.limits = limits
        self._is_exempt = is_exempt
        self._open: dict[Connection, str] = {}  # with the network it came from
        self._networks: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}  # for a request or its body, the longest first
        self._sweep_at: asyncio.TimerHandle | None = None
        self._events: dict[str, tuple[int, str]] = {}  # since the last report: how often, and who was the last
        self._report_at = 0.0
        self._lines: Counter[str] = Counter()  # by network, in this interval
        self._lines_until = 0.0

    def admit(self, connection: Connection, peer: str) -> bool:
        """Adds a connection, if need be in the place of one that waits; False if it has to be refused."""
        self._schedule()
        network = network_of(peer)
        if self._networks[network] >= self.limits.per_address and not self._is_exempt(peer):
            self.count(ADDRESS_FULL, peer)
            return False
        if len(self._open) >= self.limits.connections:
            longest = next(iter(self._waiting), None)
            if longest is None:
                self.count(FULL, peer)
                return False
            self.count(EVICTED, self._open[longest])
            self.leave(longest)
            longest.drop()
        self._open[connection] = network
        self._networks[network] += 1
        self._waiting[connection] = None
        return True

    def leave(self, connection: Connection) -> None:
        """Removes a connection, if it is still there."""
        self._waiting.pop(connection, None)
        network = self._open.pop(connection, None)
        if network is not None:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]

    def wait(self, connection: Connection) -> None:
        """The connection waits, from now on, for its next request or for a body."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._waiting[connection] = None

    def work(self, connection: Connection) -> None:
        """A request of the connection has arrived and is being answered."""
        self._waiting.pop(connection, None)

    def count(self, event: str, peer: str) -> None:
        """Counts what is reported once a minute: under attack, a line each would be too many."""
        self._events[event] = self._events.get(event, (0, ""))[0] + 1, peer

    def may_have_line(self, peer: str) -> bool:
        """Whether one more refused request of this client gets a line in the log; counts it if not."""
        now = asyncio.get_running_loop().time()
        if now >= self._lines_until:
            self._lines.clear()
            self._lines_until = now + REPORT_INTERVAL_S
        network = network_of(peer)
        if self._lines[network] >= LINES_MAX or (network not in self._lines and len(self._lines) >= NETWORKS_MAX):
            self.count(UNREADABLE, peer)
            return False
        self._lines[network] += 1
        return True

    def _schedule(self) -> None:
        if self._sweep_at is None:
            self._sweep_at = asyncio.get_running_loop().call_later(SWEEP_INTERVAL_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_at = None
        now = asyncio.get_running_loop().time()
        for connection in list(self._open):
            connection.check(now)
        if self._events and now >= self._report_at:
            self._report_at = now + REPORT_INTERVAL_S
            for event, (number, peer) in self._events.items():
                log.warning(event, action="connections_refused", number=number, client=peer, open=len(self._open))
            self._events.clear()
        if self._open or self._events:
            self._schedule()
