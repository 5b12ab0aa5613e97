"""Builds one page of a leaderboard: places with names, cursors, and the place of the user who asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from solve_api.profiles.profile import unknown
from solve_api.ranking.boards import PATIENCE_S, Boards, Sourced
from solve_api.ranking.bodies import LeaderboardPage, Period
from solve_api.ranking.cursor import next_cursor, page_request_of, previous_cursor
from solve_api.ranking.periods import TimeRange, time_range_of
from solve_projector.domain.ranking import Mode, PageRequest, RankKey


@dataclass(frozen=True, slots=True)
class BoardQuestion:
    """Which page is wanted; at most one of cursor, around and friends."""

    period: Period
    zone: ZoneInfo
    limit: int
    cursor: str | None = None
    around: str | None = None
    friends: tuple[str, ...] = ()
    me: str | None = None


async def period_of(
    boards: Boards, asked: BoardQuestion, client: str, patience_s: float = PATIENCE_S
) -> TimeRange | None:
    """The period that a question is about, once its board can be read; None for all time.

    `client` is the address that waits for it. Raises BoardNotReady, TooManyRequests and asyncpg's errors.
    """
    period = time_range_of(asked.period, asked.zone, datetime.now(UTC))
    if period:
        await boards.require(period, client, patience_s)
    return period


async def leaderboard(
    boards: Boards, asked: BoardQuestion, period: TimeRange | None = None, patience_s: float = PATIENCE_S
) -> LeaderboardPage:
    """One page, for people. As `leaderboard_fields`."""
    # validated as a whole: fifty models made one by one take twice as long
    return LeaderboardPage.model_validate(await leaderboard_fields(boards, asked, period, patience_s))


async def leaderboard_fields(
    boards: Boards, asked: BoardQuestion, period: TimeRange | None = None, patience_s: float = PATIENCE_S
) -> dict[str, Any]:
    """The fields of a LeaderboardPage in its order, of the `period_of` the question.

    Raises CursorRefused, UserUnknown for `around` or `me`, BoardNotReady, and asyncpg's errors.
    """
    if (period is None) != (asked.period == "all"):
        raise ValueError("a question about a period is answered from the board of that period")
    myself = asked.me or asked.around
    wanted = [*asked.friends, *([myself] if myself else [])]
    found = await boards.read(_page_request(asked), wanted, period, patience_s)
    ranked = _ranked(found, asked)
    names = await boards.names_of([*wanted, *[position.user_id for _, position in ranked]])
    if myself and (myself not in names or (asked.around and names[myself] is None)):
        raise unknown(myself)
    mine = found.reading.places.get(myself) if myself else None
    return {
        "period": asked.period,
        "timezone": asked.zone.key,
        "begins_at": period.begins_at if period else None,
        "ends_at": period.ends_at if period else None,
        "total": found.reading.total,
        "entries": _entries(ranked, names),
        "me": next(iter(_entries([mine], names)), None) if mine else None,
        "unranked": [one for one in asked.friends if one not in found.reading.places or names.get(one) is None],
        "next_cursor": None if asked.friends else next_cursor(found.reading),
        "previous_cursor": None if asked.friends else previous_cursor(found.reading),
        "source": found.source,
        "as_of": found.as_of,
    }


def _page_request(asked: BoardQuestion) -> PageRequest:
    if asked.friends:
        return PageRequest(0)
    if asked.cursor is not None:
        return page_request_of(asked.cursor, asked.limit)
    if asked.around is not None:
        return PageRequest(asked.limit, Mode.AROUND, RankKey(0, 0, asked.around))
    return PageRequest(asked.limit)


def _ranked(found: Sourced, asked: BoardQuestion) -> Sequence[tuple[int, RankKey]]:
    if asked.friends:
        friends = {one: found.reading.places[one] for one in asked.friends if one in found.reading.places}
        return sorted(friends.values())
    return found.reading.ranked()


def _entries(ranked: Sequence[tuple[int, RankKey]], names: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The fields of BoardEntries, of those who have a name on boards."""
    return [
        {
            "rank": rank,
            "user_id": user_id,
            "username": username,
            "problems_solved": problems_solved,
            "last_solved_at": datetime.fromtimestamp(seconds, UTC),
        }
        for rank, (problems_solved, seconds, user_id) in ranked
        if (username := names.get(user_id)) is not None
    ]
