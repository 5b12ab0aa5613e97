"""The live event feed of a CLICS contest API: lines as they come, through cuts, restarts and refusals, for days.

The specifications: 2020-03 (`op`, `since_id`), 2021-11 (without tokens), 2022-07, 2023-06 and 2026-01 (`since_token`);
https://ccs-specs.icpc.io/2026-01/contest_api#event-feed. A feed is read from its beginning, which is a whole reading
(`solve_sources.clics.feed_reading` says when it is complete), and after a lost connection from its last token, or from
its beginning where it has none. A line is one when its newline has come, so what is cut comes again. Nothing here is
kept on a disk: whoever starts anew reads everything.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

import httpx
import structlog

from solve_sources.clics.contest_api import (
    EXAMPLE,
    FEED,
    ContestLogin,
    Refused,
    answer_to,
    client_of,
    only_contest,
    place_of,
)
from solve_sources.clics.feed_reading import Connected, Ended, Line, Piece, Quiet, Reading, Whole
from solve_sources.clics.http_lines import lines_and_lulls
from solve_sources.errors import FeedError

__all__ = ["Connected", "ContestLogin", "Ended", "HttpFeed", "Line", "Patience", "Piece", "Quiet", "Whole"]

# what counts depend on, by the names of all versions; DOMjudge and the CDS leave out `runs`, which are far more
TYPES = "contest,contests,state,judgement-types,problems,groups,teams,submissions,judgements"
TOKEN_UNKNOWN = (400, 410, 416, 422)
SAME_LINE_MAX = 3
SERVER_ERRORS_MAX = 5  # in a row to a request with a token, which may be what it fails over

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what, in seconds, and the longest line in bytes."""

    settle_after_s: float = 0.5
    settle_every_s: float = 5.0  # of a feed that is never quiet
    whole_after_s: float = 3.0
    dead_after_s: float = 150.0  # the specification has a newline every 120
    connect_s: float = 10.0
    pause_min_s: float = 0.5
    pause_max_s: float = 60.0
    list_again_s: float = 5.0
    longest_line: int = 16 << 20  # a collection may be one line


class HttpFeed:
    """One contest's feed, to be iterated once.

    For metrics, `counts` says what happened, `problem` why it is not connected, and `said_at` when a line came last.
    """

    def __init__(self, url: str, login: ContestLogin, patience: Patience | None = None) -> None:
        """Checks the URL: of a contest, of its event feed, or of an API with one contest. Raises FeedError."""
        self.place = place_of(url)
        self.counts: Counter[str] = Counter()
        self.problem = "not connected yet"
        self.said_at: float | None = None
        self._login = login
        self._patience = patience or Patience()
        self._reading = self._new_reading()
        self._ever = False  # whether a line of a feed was ever read
        self._warned = False
        self._options = {"types": TYPES, "stream": "false"}
        self._failures = 0
        self._server_errors = 0
        self._bad_lines: Counter[bytes] = Counter()

    def start_over(self) -> None:
        """Makes the next connection a whole reading; the current one ends at its next line or pause."""
        self._reading = self._new_reading()

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The pieces, for ever or until `Ended`. A line counts as processed once the next piece is asked for.

        Whoever may stop before the end iterates it within `contextlib.aclosing`, or the connection is closed late.

        Raises FeedError where nothing was ever read and trying again cannot help, and at a line that can never be read.
        """
        async with client_of(self._login, self._patience.connect_s, self._patience.dead_after_s) as client:
            while True:
                resumed, since, lines = self._reading.resumes, monotonic(), self.counts["lines"]
                refused: Refused | None = None
                try:
                    if self.place.contest is None:
                        self.place = await only_contest(client, self.place.base)
                    async with aclosing(self._connection(client)) as connection:
                        async for piece in connection:
                            yield piece
                            if isinstance(piece, Ended):
                                return
                except Refused as error:
                    refused = error
                if monotonic() - since > self._patience.pause_max_s or (resumed and self.counts["lines"] > lines):
                    self._failures = 0
                await asyncio.sleep(self._pause_after(refused, resumed=resumed))

    async def _connection(self, client: httpx.AsyncClient) -> AsyncGenerator[Piece, None]:
        """What one connection gives. Raises Refused where it ends otherwise than by the end of the response."""
        patience = self._patience
        if not self._reading.resumes:
            self._reading = self._new_reading()
        reading, resumed, url = self._reading, self._reading.resumes, self.place.url
        if not resumed:
            await reading.list_what_exists(client, url)
        async with answer_to(client, f"{url}/{FEED}", **self._parameters()) as response:
            self._server_errors = 0
            self.problem = ""
            self.counts["resumed" if resumed else "whole"] += 1
            settled = monotonic()
            yield Connected(whole=not resumed)
            lulls_s = (patience.settle_after_s, patience.whole_after_s)
            async with aclosing(lines_and_lulls(response, lulls_s, patience.longest_line)) as found:
                async for one in found:
                    if self._reading is not reading:  # to start over
                        return
                    if one and isinstance(one, bytes):
                        yield (line := self._taken(one))
                        reading.processed(line)
                        if not reading.whole or monotonic() - settled < patience.settle_every_s:
                            continue
                    settled = monotonic()
                    yield Quiet()
                    if one in (b"", patience.whole_after_s):
                        for piece in await reading.at_pause(client, url):
                            yield piece
            yield Quiet()
            for piece in await reading.at_pause(client, url, at_end=True):
                yield piece

    def _parameters(self) -> dict[str, str]:
        """Of the next request: what a whole reading asks for, or to go on after the token."""
        if not self._reading.resumes:
            return self._options
        return (self._options and self._options | {"stream": "true"}) | (self._reading.token or {})

    def _taken(self, text: bytes) -> Line:
        line = self._reading.take(text)
        self._ever = True
        self.said_at = monotonic()
        self.counts["lines"] += 1
        return line

    def _new_reading(self) -> Reading:
        return Reading(self._patience.list_again_s)

    def _pause_after(self, refused: Refused | None, *, resumed: bool) -> float:
        """Seconds until the next connection. Raises FeedError where there is to be none."""
        self.problem = reason = str(refused or "the server ended the response")
        if refused is None and not resumed and self._reading.lines:
            if self._reading.resumes:  # all was sent; from here on as it comes
                return 0.0
            self._options = self._options and self._options | {"stream": "true"}
        if refused is not None and self._asks_for_less(refused, resumed=resumed):
            return 0.0
        if refused is not None:
            self._require_hope(refused)
        longest_s = min(self._patience.pause_min_s * 2.0**self._failures, self._patience.pause_max_s)
        self._failures = min(self._failures + 1, 30)
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients that lost the same server
        pause_s = max(longest_s * jitter, refused.retry_after_s if refused else 0.0)
        self.counts["lost" if refused else "closed"] += 1
        self._warn_of_url()
        log.warning(
            "connecting to the contest's feed again",
            action="feed_lost", url=self.place.url, reason=reason, pause_s=round(pause_s, 1),
        )  # fmt: skip
        return pause_s

    def _warn_of_url(self) -> None:
        """Once, where nothing was read yet: an unavailable server and a wrong URL are alike."""
        if self._ever or self._warned:
            return
        self._warned = True
        asked = f"{self.place.url}/{FEED}" if self.place.contest else f"{self.place.base}/contests"
        log.warning(
            f"nothing was read yet; if the server is there, check the URL ({EXAMPLE}): a wrong URL gives the same",
            action="feed_never_read", asked=asked,
        )  # fmt: skip

    def _asks_for_less(self, refused: Refused, *, resumed: bool) -> bool:
        """Whether the next request leaves out what the server does not take in this one."""
        self._server_errors += resumed and refused.status >= httpx.codes.INTERNAL_SERVER_ERROR
        if resumed and (refused.status in TOKEN_UNKNOWN or self._server_errors >= SERVER_ERRORS_MAX):
            self.problem = reason = _why_token_unknown(f"{self.place.url}/{FEED}", refused.status)
            log.warning("reading the feed from its beginning", action="feed_token_unknown", reason=reason)
            self.counts["token_unknown"] += 1
            self._server_errors = 0
            self.start_over()
            return True
        if not resumed and refused.status == httpx.codes.BAD_REQUEST and self._options:
            self._options = {}
            return True
        return False

    def _require_hope(self, refused: Refused) -> None:
        """Raises FeedError where trying again cannot help; servers restart, so later nearly everything may."""
        self._bad_lines[refused.line] += bool(refused.line)
        if (refused.definite and not self._ever) or self._bad_lines[refused.line] >= SAME_LINE_MAX:
            raise FeedError(str(refused))


def _why_token_unknown(url: str, status: int) -> str:
    if status in TOKEN_UNKNOWN:
        return f"{url} answers HTTP {status} to the last token, so it does not know it any more"
    return f"{url} answers HTTP {status} to the last token each time, {SERVER_ERRORS_MAX} times in a row"
