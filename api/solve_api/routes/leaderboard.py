"""Public routes about the leaderboard: pages of a board, the neighbours of a user, and friends."""

from typing import Annotated

from fastapi import Query, Request, Response

from solve_api.http.caching import Rendered, answer, render_fields
from solve_api.http.direct import DirectRouter
from solve_api.http.parameters import FRIENDS_MAX_CHARS, OptionalUserId, Zone, friend_ids
from solve_api.ranking.bodies import LeaderboardPage, Period, Source
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard_fields, period_of
from solve_api.routes.callers import OpenStores, address_of
from solve_runtime.http.problem import Problem, problems

SOURCE_HEADER = "X-Leaderboard-Source"

router = DirectRouter("/api/leaderboard", "leaderboard")


@router.get("", response_model=LeaderboardPage, responses=problems(404, 422, 429, 503))
async def show(
    request: Request,
    stores: OpenStores,
    zone: Zone,
    period: Annotated[Period, Query(description="Counts first solves in it; weeks start on Monday.")] = "all",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(min_length=1, max_length=1500, description="From another page.")] = None,
    around: OptionalUserId = None,
    friends: Annotated[
        str | None,
        Query(max_length=FRIENDS_MAX_CHARS, description="User ids, separated by commas.", examples=["u-1,u-2"]),
    ] = None,
    me: OptionalUserId = None,
) -> Response:
    """Get one page of the board. `X-Leaderboard-Source` names the store it was read from; both give the same order."""
    if sum(one is not None for one in (cursor, around, friends)) > 1:
        raise Problem(
            422, "question-unclear", "Conflicting parameters", "Use only one of cursor, around and friends at a time."
        )
    asked = BoardQuestion(period, zone, limit, cursor, around, friend_ids(friends), me)

    board = await period_of(stores.boards, asked, address_of(request))

    async def read() -> tuple[Rendered, Source]:
        fields = await leaderboard_fields(stores.boards, asked, board)
        return render_fields(fields), fields["source"]

    body, source = await stores.answers.run((asked, board), read)
    return answer(request, body, headers={SOURCE_HEADER: source})
