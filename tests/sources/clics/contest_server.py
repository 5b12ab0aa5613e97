"""A contest system over HTTP that replays a feed: whole or from a token, cut where a test says so.

By hand, for `solve-producer follow clics http://127.0.0.1:8047/api/contests/demo`:

    python -m tests.sources.clics.contest_server FEED --port 8047 --rate 100 --cut-every 1000
"""

import argparse
import asyncio
import base64
import gzip
import json
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from solve_runtime.tasks import cancel_and_wait
from tests.sources.clics.contest_answer import Answer, Ending, Turn

HOST = "127.0.0.1"
KEEP_ALIVE_S = 10.0
COLLECTIONS = ("judgement-types", "problems", "groups", "teams", "submissions", "judgements")


class Request(NamedTuple):
    """A request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class ContestServer:
    """One contest whose feed has `upto` lines so far. A request for the feed takes the next of `turns`, if any."""

    def __init__(self, lines: Sequence[bytes], upto: int | None = None, contest: str = "demo") -> None:
        self.lines = list(lines)
        self.upto = len(self.lines) if upto is None else upto
        self.contest = contest
        self.contests = [contest]
        self.turns: deque[Turn] = deque()
        self.requests: list[Request] = []
        self.authorization: str | None = None
        self.ends_when_asked = False  # `stream=false`, as DOMjudge knows it
        self.forgotten = 0  # tokens of so many lines are no longer known
        self.hidden: dict[str, int] = {}  # collections, and with what status
        self.listed_upto: int | None = None  # how far the collections are, if they differ from the feed
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self._changed = asyncio.Condition()
        self._cuts = self._newlines = 0

    @property
    def base(self) -> str:
        """The API's URL."""
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port}/api"

    @property
    def url(self) -> str:
        """The contest's URL."""
        return f"{self.base}/contests/{self.contest}"

    def feed_requests(self) -> list[dict[str, str]]:
        """The queries of the requests for the feed."""
        return [one.query for one in self.requests if one.path.endswith("/event-feed")]

    def login(self, user: str, password: str) -> None:
        """Asks for this login from now on."""
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    async def publish(self, count: int = 1) -> None:
        """Lets the next lines happen."""
        self.upto = min(self.upto + count, len(self.lines))
        await self._notify()

    async def keep_alive(self) -> None:
        """Sends a newline to all who follow."""
        self._newlines += 1
        await self._notify()

    async def cut(self) -> None:
        """Cuts all who follow, in the middle of the next line if there is one."""
        self._cuts += 1
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["ContestServer"]:
        """Serves until exit."""
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    await self._serve(reader, writer)
            finally:
                writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(task := asyncio.create_task(serve(reader, writer)))
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, HOST, port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await cancel_and_wait(list(tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        target = urlsplit(head.split(" ")[1])
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
        query = {name: values[-1] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        request = Request(target.path, query, headers)
        self.requests.append(request)
        answer = Answer(writer)
        if self.authorization and headers.get("authorization") != self.authorization:
            await answer.whole(401, b'{"code":401,"message":"login"}')
        elif request.path == f"/api/contests/{self.contest}/event-feed":
            await self._feed(request, answer)
        else:
            await answer.whole(*self._collection(unquote(request.path)))

    def _collection(self, path: str) -> tuple[int, bytes]:
        kind = path.removeprefix(f"/api/contests/{self.contest}").strip("/")
        if path == "/api/contests":
            return 200, json.dumps([{"id": one} for one in self.contests]).encode()
        if not path.startswith(f"/api/contests/{self.contest}") or kind not in ("", "state", *COLLECTIONS):
            return 404, b'{"code":404,"message":"not found"}'
        if kind in self.hidden:
            return self.hidden[kind], b'{"code":403,"message":"hidden"}'
        found = self.state().get(kind or "contest", {})
        return 200, json.dumps(list(found.values()) if kind in COLLECTIONS else found.get("", {})).encode()

    def state(self) -> dict[str, dict[str, Any]]:
        """The latest state of every object, by collection and id."""
        found: dict[str, dict[str, Any]] = {}
        for line in self.lines[: self.upto if self.listed_upto is None else self.listed_upto]:
            said = json.loads(line)
            kind, data = {"contests": "contest"}.get(said["type"], said["type"]), said["data"]
            objects = found.setdefault(kind, {})
            if isinstance(data, list):
                objects.clear()
                objects |= {one["id"]: one for one in data}
                continue
            named = "" if kind in ("contest", "state") else data["id"] if "op" in said else said["id"]
            if data is None or said.get("op") == "delete":
                objects.pop(named, None)
            else:
                objects[named] = data
        return found

    async def _feed(self, request: Request, answer: Answer) -> None:
        turn = self.turns.popleft() if self.turns else Turn()
        start = self._start(request.query)
        if turn.status != 200 or turn.body is not None:
            await answer.whole(turn.status, turn.body or b"", turn.headers)
        elif start is None:
            await answer.whole(400, b'{"code":400,"message":"unknown token"}')
        else:
            try:
                await answer.begin(turn)
                await self._lines(request, turn, answer, start)
            except Ending as ending:
                if ending.clean:
                    await answer.end()

    def _start(self, query: Mapping[str, str]) -> int | None:
        """The line to begin with; None for a token that is not known."""
        for parameter, key in (("since_token", "token"), ("since_id", "id")):
            if parameter in query:
                known = [json.loads(line).get(key) for line in self.lines[: self.upto]]
                found = known.index(query[parameter]) + 1 if query[parameter] in known else 0
                return found if found > self.forgotten else None
        return 0

    async def _lines(self, request: Request, turn: Turn, answer: Answer, sent: int) -> None:
        types = request.query.get("types", "").split(",") if request.query.get("types") else None
        cuts, newlines, first = self._cuts, self._newlines, True

        def has_changed() -> bool:
            return (sent, cuts, newlines) != (self.upto, self._cuts, self._newlines)

        while True:
            lines = [one for one in self.lines[sent : self.upto] if not types or json.loads(one)["type"] in types]
            sent = self.upto
            await answer.send(b"".join(one + b"\n" for one in (turn.reordered(lines) if first else lines)))
            first = False
            if turn.then != "follow" or (self.ends_when_asked and request.query.get("stream") == "false"):
                raise Ending(clean=turn.then != "cut")
            if newlines != self._newlines:
                newlines = self._newlines
                await answer.send(b"\n")
            async with self._changed:
                await self._changed.wait_for(has_changed)
            if cuts != self._cuts:
                await answer.send(b"".join(self.lines[sent : sent + 1])[:20])
                raise Ending(clean=False)


async def replay(server: ContestServer, port: int, rate: float, cut_every: int) -> None:
    """Serves for ever: `rate` lines a second, keep-alive newlines, and a cut each so many lines."""
    loop = asyncio.get_running_loop()
    async with server.serving(port):
        print(f"the contest is at {server.url}", file=sys.stderr)
        newline_at, cut_at = loop.time() + KEEP_ALIVE_S, cut_every
        while True:
            await asyncio.sleep(1 / min(rate, 50))
            await server.publish(max(1, round(rate / 50)))
            if cut_every and cut_at <= server.upto < len(server.lines):
                cut_at = server.upto + cut_every
                await server.cut()
            if loop.time() > newline_at:
                newline_at = loop.time() + KEEP_ALIVE_S
                await server.keep_alive()


def main() -> None:
    """Runs it by hand."""
    parser = argparse.ArgumentParser(description="A contest system that replays a CLICS event feed.")
    parser.add_argument("feed", type=Path)
    parser.add_argument("--contest", default="demo", help="the contest's id in the URL")
    parser.add_argument("--port", type=int, default=8047)
    parser.add_argument("--rate", type=float, default=100.0, help="lines a second")
    parser.add_argument("--start-at", type=int, default=0, help="lines that are there from the beginning")
    parser.add_argument("--cut-every", type=int, default=0, help="cut connections after each so many lines")
    given = parser.parse_args()
    content = given.feed.read_bytes()
    lines = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).splitlines()
    server = ContestServer([one for one in lines if one.strip()], given.start_at, given.contest)
    server.ends_when_asked = True
    with suppress(KeyboardInterrupt):
        asyncio.run(replay(server, given.port, given.rate, given.cut_every))


if __name__ == "__main__":
    main()
