"""How does a page hear of a solve? Server-Sent Events: users it names, the board, or both.

Every event says how things stand, never by how much; one that is missed or seen twice does no harm.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from solve_api.http.problems import RETRY_AFTER_S, Problem, problems
from solve_api.http.public import address_of, public
from solve_api.http.rate_limits import network_of
from solve_api.live.entries import BoardChange, Change, Position
from solve_api.live.hub import News, Subscription
from solve_api.stores import stores_of
from solve_schemas.events import Text

USERS_MAX = 50
PING_S = 15.0
RETRY_MS = 2_000

router = APIRouter(tags=["live"], dependencies=[Depends(public)])


async def subscription(
    request: Request,
    user_id: Annotated[list[Text] | None, Query(max_length=USERS_MAX, description="Users to hear of.")] = None,
    board: Annotated[bool, Query(description="Whether to hear of the board.")] = False,
    last_event_id: Annotated[str | None, Query(description="Where a page begins that was made from this id.")] = None,
    last_event_id_header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Where a reader goes on that was cut off.")
    ] = None,
) -> AsyncIterator[Subscription]:
    """A stream of the hub's for as long as the response lasts, with what it has to be told first."""
    changes = stores_of(request).changes
    if not user_id and not board:
        raise Problem(
            422, "nothing-watched", "It is not clear what to watch", "Name users with user_id, or say board=true."
        )
    if changes.hub.full:
        raise Problem(
            503,
            "too-many-streams",
            "Too many streams are open",
            f"Try again in {RETRY_AFTER_S} seconds, or ask for what you show now and then.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    address = network_of(address_of(request))
    if changes.hub.is_full_for(address):
        raise Problem(
            429,
            "too-many-streams",
            "Too many streams are open",
            "This address has too many streams open; close some, or ask for what you show now and then.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    with changes.hub.watching(user_id or (), board=board, address=address) as stream:
        await changes.catch_up(stream, last_event_id_header or last_event_id or None)
        yield stream


def _events_of(news: News) -> list[ServerSentEvent]:
    """The board goes before users: whoever is cut off in between hears of the users again when they come back."""
    position = str(news.position) if news.position else None
    said = [("reset", "{}")] if news.reset else []
    if news.board:
        said.append(("board", news.board.text))
    said += [("user", change.text) for change in news.changes]
    if not said:
        return [ServerSentEvent(comment="still here", id=position)]
    return [ServerSentEvent(text, event=name, id=position) for name, text in said]


def _example() -> str:
    ada = Change("u-1", 42, datetime(2026, 11, 24, 9, 9, 50, tzinfo=UTC), 1_795_511_390_000_000, epoch=1)
    news = News(Position(1_795_511_390_120, 0), False, BoardChange({ada.user_id: ada}), [ada])
    return b"".join(event.encode() for event in _events_of(news)).decode().replace("\r\n", "\n")


@router.get(
    "/api/events",
    summary="Hear of solves as they happen",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events, for as long as you listen.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _example()}},
        },
        **problems(422, 429, 503),
    },
)
async def events(stream: Annotated[Subscription, Depends(subscription)]) -> EventSourceResponse:
    """Server-Sent Events of these types; their data is JSON.

    - `user`: how a watched user stands: `user_id`, `problems_solved`, `last_solved_at` (whole seconds, or null) and
      `version`, which grows. First comes one for each watched user who exists, then one whenever one changed.
    - `board`: places may have moved; at most ten a second. `changed` lists the users as above; with `many` it is
      empty, and the board is to be fetched anew.
    - `reset`: fetch anew whatever you show.

    Reconnect with the last id in `Last-Event-ID` (an EventSource does it by itself) and nothing is missed. While
    Redis is away, users are told from PostgreSQL, and ids stay as they were.
    """
    return EventSourceResponse(_said(stream), ping=0, headers={"Cache-Control": "no-store"})


async def _said(stream: Subscription) -> AsyncIterator[bytes]:
    yield ServerSentEvent(retry=RETRY_MS).encode()
    while (news := await stream.next(PING_S)) is not None:
        yield b"".join(event.encode() for event in _events_of(news))
