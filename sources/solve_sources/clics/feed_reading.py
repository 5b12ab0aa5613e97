"""One reading of a live feed: its pieces, how far it is, and when it is whole.

When has the server sent everything? No line says so; other clients wait for a second of silence (live-v3) or never know
(icpctools), and DOMjudge is silent for a second in the middle where its events have gaps. A reading that is believed
whole too early takes back what stands. So three things, all of them:

1. Each object has been sent that the collections `submissions` and `judgements` had before the feed was asked for.
2. So has each team, problem, group and judgement type that a sent object refers to, unless its collection does not have
   it either. In whatever form they come, as one line or as many, and in whatever order: what nothing refers to
   decides no count, and is not waited for.
3. The server then has a pause: a keep-alive newline, a long silence, or the end of a response that was not cut.
   DOMjudge ends one that was asked for with `stream=false` once it has sent all, so a contest that is never quiet is
   whole too; with other servers that one has to wait, and nothing of it is taken back meanwhile.

Collections are never read in place of the feed: they are not of one moment, and DOMjudge's leave out what its feed
has, such as submissions after the end. One that this login may not read proves nothing: the feed must then have
objects of it all the same, and the end of a response is no pause. What was listed and deleted before it was sent is
found at a later pause, when they are listed again. What is referred to and may not be listed is waited for as well,
until `end_of_updates`: by the specification the last event of a feed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import httpx
import structlog

from solve_runtime.text import cut, readable
from solve_sources.clics.contest_api import Refused, ids
from solve_sources.clics.http_lines import parsed
from solve_sources.clics.references import KINDS, References
from solve_sources.clics.seen_ids import SeenIds

LISTED = ("submissions", "judgements")
HIDDEN = (401, 403, 404, 405, 410, 501)
LISTING_TIMEOUT_S = 300.0
LISTING_PAUSE_MAX_S = 300.0
NAMED = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Connected:
    """Connected. `whole`: all is sent from the beginning, and what was read before this says nothing any more."""

    whole: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the feed without its newline, and what it says; never empty."""

    text: bytes
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing more at this moment, a keep-alive, or long enough since the last one: a moment to publish what was read.

    Before `Whole`, what was read may be of the past, since some servers repeat every change since the beginning.
    """


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything has been sent since the last `Connected(whole=True)`: what was not does not exist."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The contest's state has `end_of_updates`, and the reading is whole: nothing will follow."""


Piece = Connected | Line | Quiet | Whole | Ended


class Reading:
    """What is known of a feed since it was last read from its beginning.

    `token` is the parameter that goes on after the last line that was handed over. It holds once the reading is whole:
    "all changes since the token", as the specification has it, are not the rest of what existed before.
    """

    def __init__(self, list_again_s: float) -> None:
        self.lines = 0
        self.token: dict[str, str] | None = None
        self.whole = False
        self._ended = False
        self._seen = SeenIds()
        self._awaited = SeenIds()
        self._awaited_count = 0
        self._references = References()
        self._hidden: list[str] = []
        self._unlisted = ""  # why, if the collections could not be listed
        self._list_at = 0.0
        self._list_pause_s = list_again_s

    @property
    def resumes(self) -> bool:
        """Whether the next connection may go on after the token."""
        return self.token is not None and self.whole

    def take(self, text: bytes) -> Line:
        """Reads a line. Raises Refused where it is none of a feed."""
        said = parsed(text)
        if not isinstance(said, dict) or "data" not in said:
            shown = cut(text[:1_000].decode("utf-8", "replace"), 100)
            raise Refused(f"this is not a line of a CLICS event feed: {shown}", line=text[:1_000], definite=True)
        self.lines += 1
        kind, data = str(said.get("type") or said.get("endpoint")), said["data"]
        if kind == "state" and isinstance(data, dict):
            self._ended = data.get("end_of_updates") is not None
        elif not self.whole and (kind in LISTED or kind in KINDS):
            for object_id, state in _objects_in(said):
                self._references.take(kind, object_id, state)
                if kind in LISTED:
                    self._take_listed(kind, object_id)
        return Line(text, said)

    def _take_listed(self, kind: str, object_id: str) -> None:
        if (kind, object_id) in self._awaited and (kind, object_id) not in self._seen:
            self._awaited_count -= 1
        self._seen.add(kind, object_id)

    def processed(self, line: Line) -> None:
        """Makes its token the one to go on after; where only some lines have one, it stays that of the last of them."""
        said = line.said  # 2020-03: a line's own id is the event's
        name, value = ("since_id", said.get("id")) if "op" in said else ("since_token", said.get("token"))
        if value is not None:
            self.token = {name: str(value)}

    async def list_what_exists(self, client: httpx.AsyncClient, contest: str) -> None:
        """Asks the collections what must have been sent. Raises Refused where there is no answer at all."""
        self._awaited, self._awaited_count, self._hidden, self._unlisted = SeenIds(), 0, [], ""
        for kind in LISTED:
            try:
                await _list(client, f"{contest}/{kind}", partial(self._await, kind))
            except Refused as refused:
                if refused.status in HIDDEN:
                    self._hidden.append(kind)
                elif refused.status or self.lines:
                    self._unlisted = str(refused)
                else:
                    raise

    def _await(self, kind: str, object_id: str) -> None:
        if (kind, object_id) not in self._seen and (kind, object_id) not in self._awaited:
            self._awaited.add(kind, object_id)
            self._awaited_count += 1

    async def at_pause(self, client: httpx.AsyncClient, contest: str, *, at_end: bool = False) -> list[Piece]:
        """What follows from a pause of the server; `at_end` of a response, that it ended."""
        found: list[Piece] = []
        if not self.whole and self.lines:
            why_not = self._why_not_whole() or await self._why_not_resolved(client, contest)
            if why_not and not at_end and monotonic() >= self._list_at:
                log.warning(
                    "the feed is not complete, so nothing is taken back", action="feed_not_whole", reason=why_not
                )
                self._list_at = monotonic() + self._list_pause_s
                self._list_pause_s = min(2 * self._list_pause_s, LISTING_PAUSE_MAX_S)
                await self.list_what_exists(client, contest)
            elif not why_not and (not at_end or not self._hidden or self._ended):
                self.whole, self._seen, self._awaited = True, SeenIds(), SeenIds()
                self._references = References()
                found.append(Whole())
        if self.whole and self._ended:
            found.append(Ended())
        return found

    async def _why_not_resolved(self, client: httpx.AsyncClient, contest: str) -> str:
        """What sent objects refer to and is still to come; asked of the collections, since it may not exist at all."""
        for kind, missing in self._references.missing.items():
            existing: set[str] = set()
            try:
                await _list(client, f"{contest}/{kind}", existing.add)
            except Refused as refused:
                if refused.status not in HIDDEN:
                    return str(refused)
                if self._references.has_sent(kind) and not self._ended:  # else there are none of them, or no more
                    existing = missing
            if found := sorted(missing & existing):
                more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
                named = ", ".join(cut(readable(one), 100) for one in found[:NAMED])
                return f"it refers to {kind} that it has not sent: {named}{more}"
        return ""

    def _why_not_whole(self) -> str:
        """What is missing; empty if nothing is."""
        without = [kind for kind in self._hidden if kind not in self._seen.kinds]
        if without:
            return f"the feed has no {' and no '.join(without)}, and they may not be listed; use a login that may"
        if self._awaited_count > 0:
            return f"{self._awaited_count} submissions or judgements are listed that the feed has not sent"
        return self._unlisted


async def _list(client: httpx.AsyncClient, url: str, take: Callable[[str], None]) -> None:
    """Hands over the ids of a collection. Raises Refused."""
    try:
        async with asyncio.timeout(LISTING_TIMEOUT_S), aclosing(ids(client, url)) as listed:
            async for one in listed:
                take(one)
    except TimeoutError:
        raise Refused(f"{url} took too long", httpx.codes.REQUEST_TIMEOUT) from None


def _objects_in(said: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The objects that a line is about: their ids, and what it says of them."""
    data = said["data"]
    if isinstance(data, list):
        yield from ((str(one.get("id")), one) for one in data if isinstance(one, dict))
    elif isinstance(data, dict) and ("op" in said or said.get("id") is None):
        yield str(data.get("id", said.get("id"))), data
    else:
        yield str(said.get("id")), data
