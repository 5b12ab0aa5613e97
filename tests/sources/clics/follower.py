"""A consumer of a live feed for tests: keeps what the pieces say, as a contest state would."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from typing import Any

from solve_runtime.tasks import cancel_and_wait
from solve_sources.clics.http_feed import Connected, ContestLogin, HttpFeed, Line, Patience, Piece, Whole
from tests.sources.clics.contest_server import ContestServer
from tests.waiting import until

QUICK = Patience(
    settle_after_s=0.02, whole_after_s=0.1, pause_min_s=0.01, pause_max_s=0.05, list_again_s=0.01, dead_after_s=20
)
NOBODY = ContestLogin(clics_username=None)
State = dict[str, dict[str, Any]]


def feed_lines(submissions: int = 4, *, tokens: bool = True, contest: str = "demo") -> list[bytes]:
    """A small contest, in the form of 2023-06; tokens have characters that a URL must escape."""
    said: list[tuple[str, str | None, Any]] = [
        ("state", None, {"started": "2024-01-01T10:00:00Z", "end_of_updates": None}),
        ("contest", None, {"id": contest, "start_time": "2024-01-01T10:00:00Z"}),
        ("judgement-types", "AC", {"id": "AC", "solved": True}),
        ("teams", "t\u00e9", {"id": "t\u00e9", "name": "The \u00c9quipe"}),
    ]
    for number in map(str, range(submissions)):
        said += [
            ("submissions", number, {"id": number, "team_id": "t\u00e9", "problem_id": "a"}),
            ("judgements", f"j{number}", {"id": f"j{number}", "submission_id": number, "judgement_type_id": None}),
            ("judgements", f"j{number}", {"id": f"j{number}", "submission_id": number, "judgement_type_id": "AC"}),
        ]
    return [line(*one, token=f"c&d<{place}" if tokens else None) for place, one in enumerate(said)]


def line(kind: str, object_id: str | None, data: Any, token: str | None = None) -> bytes:
    """One line; without a token if there is none."""
    said = {"type": kind, "id": object_id, "data": data} | ({"token": token} if token is not None else {})
    return json.dumps(said, ensure_ascii=False).encode()


class Follower:
    """Reads a feed in a task of its own. `state` is that since the last beginning, `truths` each one that was whole."""

    def __init__(self, feed: HttpFeed) -> None:
        self.feed = feed
        self.pieces: list[Piece] = []
        self.state: State = {}
        self.truths: list[State] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with aclosing(self.feed.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Connected) and piece.whole:
                    self.state = {}
                elif isinstance(piece, Line):
                    self._change(piece.said)
                elif isinstance(piece, Whole):
                    self.truths.append(copy.deepcopy(self.state))
                self.pieces.append(piece)

    def _change(self, said: dict[str, Any]) -> None:
        kind, data = {"contests": "contest"}.get(said["type"], said["type"]), said["data"]
        objects = self.state.setdefault(kind, {})
        named = "" if kind in ("contest", "state") else data["id"] if "op" in said else said["id"]
        if data is None or said.get("op") == "delete":
            objects.pop(named, None)
        else:
            objects[named] = data

    def connections(self) -> list[bool]:
        """Of each connection, whether it was whole."""
        return [one.whole for one in self.pieces if isinstance(one, Connected)]

    def texts(self) -> list[bytes]:
        """All lines, repeated ones too."""
        return [one.text for one in self.pieces if isinstance(one, Line)]

    def of(self, kinds: Collection[type[Piece]]) -> list[Piece]:
        """The pieces of some kinds."""
        return [one for one in self.pieces if type(one) in kinds]

    async def until_whole(self, times: int = 1) -> None:
        """Waits until a reading was whole."""
        await self.until(lambda: len(self.truths) >= times, f"whole {times} times")

    async def until(self, condition: Any, what: str) -> None:
        """Waits for a condition, and fails at once where the feed ended in an error."""

        def holds() -> bool:
            if self.task.done() and self.task.exception():
                self.task.result()
            return bool(condition())

        await until(holds, what, 20, 0.005)


@asynccontextmanager
async def following(url: str, login: ContestLogin = NOBODY, patience: Patience = QUICK) -> AsyncIterator[Follower]:
    """A follower, stopped at exit."""
    follower = Follower(HttpFeed(url, login, patience))
    try:
        yield follower
    finally:
        await cancel_and_wait([follower.task])


def listings(server: ContestServer) -> list[str]:
    """How often the judgements were listed, as the paths that were asked."""
    return [one.path for one in server.requests if one.path.endswith("/judgements")]


LINES = feed_lines()
