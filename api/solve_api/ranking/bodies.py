"""Bodies of answers about the leaderboard, with examples."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from solve_api.bodies import EXAMPLE_TIME, Body

Period = Literal["all", "day", "week", "month", "year"]
Source = Literal["redis", "postgresql"]


class BoardEntry(Body):
    """One place on a board."""

    rank: int = Field(examples=[1], description="Shared by who is equal in count and time: 1, 1, 3.")
    user_id: str = Field(examples=["u-1"])
    username: str = Field(examples=["ada"])
    problems_solved: int = Field(examples=[42], description="In this period.")
    last_solved_at: datetime = Field(examples=[EXAMPLE_TIME], description="In whole seconds, as ties are broken.")


class LeaderboardPage(Body):
    """One page of a board."""

    period: Period = Field(examples=["all"])
    timezone: str = Field(examples=["UTC"])
    begins_at: datetime | None = Field(examples=[None], description="Start of the period; null for all time.")
    ends_at: datetime | None = Field(examples=[None], description="End of the period; null for all time.")
    total: int = Field(examples=[2000], description="Users on the whole board.")
    entries: list[BoardEntry]
    me: BoardEntry | None = Field(description="The place of `me` or `around`, on whichever page it is.")
    unranked: list[str] = Field(examples=[["u-9"]], description="Friends who are not on this board.")
    next_cursor: str | None = Field(examples=["MTAuNDYuMTc5NTUxMTM5MC51LTE"], description="Cursor of the next page.")
    previous_cursor: str | None = Field(examples=[None], description="Cursor of the previous page.")
    source: Source = Field(examples=["redis"])
    as_of: datetime = Field(examples=[EXAMPLE_TIME], description="Includes every solve committed before this time.")
