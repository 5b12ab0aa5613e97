"""Server-Sent Events about users, the board, or both.

Events hold absolute standings, never differences, so a missed or repeated event does no harm.
"""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from solve_api.live.entries import BoardChange, StreamId, UserChange
from solve_api.live.hub import News, Subscription
from solve_api.routes.callers import address_of, stores_of
from solve_runtime.http.problem import RETRY_AFTER_S, Problem, problems
from solve_schemas.events import Text

USERS_MAX = 50
PING_S = 15.0
RETRY_MS = 2_000
RETRY_SPREAD_MS = 3_000  # or all streams of a process that ended would come back at one moment

router = APIRouter(tags=["live"])


async def subscription(
    request: Request,
    user_id: Annotated[list[Text] | None, Query(max_length=USERS_MAX, description="Users to watch.")] = None,
    board: Annotated[bool, Query(description="Whether to watch the board.")] = False,
    last_event_id: Annotated[str | None, Query(description="The id that the page was rendered from.")] = None,
    last_event_id_header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Where a disconnected client continues.")
    ] = None,
) -> AsyncIterator[Subscription]:
    """Opens a stream for as long as the response lasts, starting with what the client missed."""
    changes = stores_of(request).changes
    if not user_id and not board:
        raise Problem(422, "nothing-watched", "Nothing to watch", "Name users with user_id, or set board=true.")
    if changes.hub.full:
        raise Problem(
            503,
            "too-many-streams",
            "Too many open streams",
            f"Try again in {RETRY_AFTER_S} seconds, or poll instead.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    address = address_of(request)
    if changes.hub.is_full_for(address):
        raise Problem(
            429,
            "too-many-streams",
            "Too many open streams",
            "This address has too many open streams; close some, or poll instead.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    await changes.board_notified_to()  # the stream begins there
    with changes.hub.watching(user_id or (), board=board, address=address) as stream:
        await changes.catch_up(stream, last_event_id_header or last_event_id or None)
        yield stream


def retry_ms() -> int:
    """When this stream's reader comes back after its connection broke."""
    return RETRY_MS + secrets.randbelow(RETRY_SPREAD_MS)


def _events_of(news: News) -> list[ServerSentEvent]:
    """The board precedes users: a client that disconnects in between gets the users again."""
    stream_id = str(news.stream_id) if news.stream_id else None
    events = [("reset", "{}")] if news.reset else []
    if news.board:
        events.append(("board", news.board.text))
    events += [("user", change.text) for change in news.changes]
    if not events:
        return [ServerSentEvent(comment="keep-alive", id=stream_id)]
    return [ServerSentEvent(text, event=name, id=stream_id) for name, text in events]


def _example() -> str:
    ada = UserChange("u-1", 42, datetime(2026, 11, 24, 9, 9, 50, tzinfo=UTC), 1_795_511_390_000_000, epoch=1)
    news = News(StreamId(1_795_511_390_120, 0), False, BoardChange({ada.user_id: ada}), [ada])
    return b"".join(event.encode() for event in _events_of(news)).decode().replace("\r\n", "\n")


@router.get(
    "/api/events",
    summary="Watch solves as they happen",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events until the client disconnects.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _example()}},
        },
        **problems(422, 429, 503),
    },
)
async def events(stream: Annotated[Subscription, Depends(subscription)]) -> EventSourceResponse:
    """Server-Sent Events of these types, with JSON as data:

    - `user`: the standing of a watched user: `user_id`, `problems_solved`, `last_solved_at` (whole seconds, or null)
      and `version`, which only rises. The stream starts with one event for each watched user who exists.
    - `board`: places may have changed; at most ten events a second. `changed` lists users as above; if `many` is true,
      it is empty and the board should be fetched again.
    - `reset`: fetch again everything you show.

    To miss nothing, reconnect with the last id in `Last-Event-ID`, as an EventSource does by itself. While Redis is
    unavailable, users are read from PostgreSQL and ids do not advance.
    """
    return EventSourceResponse(_encoded(stream), ping=0, headers={"Cache-Control": "no-store"})


async def _encoded(stream: Subscription) -> AsyncIterator[bytes]:
    yield ServerSentEvent(retry=retry_ms()).encode()
    while (news := await stream.next(PING_S)) is not None:
        yield b"".join(event.encode() for event in _events_of(news))
