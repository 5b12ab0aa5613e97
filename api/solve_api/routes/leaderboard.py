"""What can anybody ask of the ranking? Pages of a board, a neighbourhood, and friends."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from solve_api.http.caching import Rendered, answer, render
from solve_api.http.parameters import OptionalUserId, Zone
from solve_api.http.problems import Problem, problems
from solve_api.http.public import public
from solve_api.models.public import LeaderboardPage, Period, Source
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard
from solve_api.stores import Held
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS

FRIENDS_MAX = 200
FRIENDS_MAX_CHARS = FRIENDS_MAX * 40
SOURCE_HEADER = "X-Leaderboard-Source"

router = APIRouter(prefix="/api/leaderboard", tags=["leaderboard"], dependencies=[Depends(public)])


@router.get("", response_model=LeaderboardPage, responses=problems(404, 422, 429, 503))
async def show(
    request: Request,
    stores: Held,
    zone: Zone,
    period: Annotated[Period, Query(description="By first solves; weeks begin on Monday.")] = "all",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(min_length=1, max_length=1500, description="Of another page.")] = None,
    around: OptionalUserId = None,
    friends: Annotated[
        str | None,
        Query(max_length=FRIENDS_MAX_CHARS, description="Ids, separated by commas.", examples=["u-1,u-2"]),
    ] = None,
    me: OptionalUserId = None,
) -> Response:
    """A stretch of the board. `X-Leaderboard-Source` says which store answered; both give the same order."""
    if sum(one is not None for one in (cursor, around, friends)) > 1:
        raise Problem(
            422, "question-unclear", "Which page is meant?", "cursor, around and friends go one at a time; leave one."
        )
    asked = BoardQuestion(period, zone, limit, cursor, around, friend_ids(friends), me)

    async def read() -> tuple[Rendered, Source]:
        page = await leaderboard(stores.pool, stores.boards, asked)
        return render(page), page.source

    body, source = await stores.boards.together.ask(asked, read)
    return answer(request, body, headers={SOURCE_HEADER: source})


def friend_ids(said: str | None) -> tuple[str, ...]:
    """Ids, each once, in the order of the list. Raises Problem on too many, or what can be no id."""
    if said is None:
        return ()
    # what an id can be is the log's to say: a space of another kind is a part of it
    found = tuple(dict.fromkeys(one for part in said.split(",") if (one := part.strip(" "))))
    if (
        not found
        or len(found) > FRIENDS_MAX
        or any(len(one) > TEXT_MAX_CHARS or not re.fullmatch(NO_CONTROL_CHARS, one) for one in found)
    ):
        raise Problem(
            422,
            "friends-unclear",
            "These are no friends",
            f"friends takes 1 to {FRIENDS_MAX} user ids with commas between, each up to {TEXT_MAX_CHARS} characters.",
        )
    return found
