"""Grants a few turns at a time, to one client after the other, so that whoever asks for much waits for it alone."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from solve_api.errors import TooManyRequests

RETRY_AFTER_S = 2


class Turn:
    """One piece of work that one client waits for, or several."""

    def __init__(self) -> None:
        self.granted = asyncio.Event()


class Turns:
    """The turns of one process: `at_once` are granted, and each client waits for `waiting_max` at most."""

    def __init__(self, at_once: int, waiting_max: int) -> None:
        self._free = at_once
        self._waiting_max = waiting_max
        # whose turn is next comes first; the turns of each in the order of arrival
        self._lanes: OrderedDict[str, dict[Turn, None]] = OrderedDict()

    def join(self, client: str, turn: Turn) -> None:
        """Lets a client wait for a turn, whoever else does. Raises TooManyRequests."""
        if turn.granted.is_set():
            return
        lane = self._lanes.get(client, {})
        if turn not in lane and len(lane) >= self._waiting_max:
            raise TooManyRequests(
                f"this address waits for {self._waiting_max} other boards of periods; try again in {RETRY_AFTER_S} "
                "seconds",
                RETRY_AFTER_S,
            )
        self._lanes.setdefault(client, lane)[turn] = None
        self._grant()

    @asynccontextmanager
    async def taken(self, turn: Turn, timeout_s: float) -> AsyncIterator[None]:
        """Waits for a turn that was joined, and ends it after the block. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout_s):
                await turn.granted.wait()
            yield
        finally:
            if turn.granted.is_set():
                self._free += 1
            self._leave(turn)
            self._grant()

    def _grant(self) -> None:
        while self._free and self._lanes:
            client, lane = next(iter(self._lanes.items()))
            turn = next(iter(lane))
            self._lanes.move_to_end(client)
            self._leave(turn)
            self._free -= 1
            turn.granted.set()

    def _leave(self, turn: Turn) -> None:
        for client, lane in list(self._lanes.items()):
            lane.pop(turn, None)
            if not lane:
                del self._lanes[client]
