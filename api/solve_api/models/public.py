"""What does the API say? The bodies of its answers, with examples."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE_TIME = "2026-11-24T09:09:50Z"


class Answer(BaseModel):
    """Ours: frozen, and every field documented."""

    model_config = ConfigDict(frozen=True)


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Answer):
    """It can serve."""

    status: Literal["ready"] = "ready"


class Solve(Answer):
    """The first standing solve of one problem."""

    problem_id: str = Field(examples=["two-sum"])
    submission_id: str = Field(examples=["s-1"])
    submitted_at: datetime = Field(examples=[EXAMPLE_TIME])
    language: str | None = Field(examples=["cpp"], description="Where the judge said it.")
    contest_id: str | None = Field(examples=["round-7"])


class Day(Answer):
    """One day of the heatmap."""

    day: date = Field(examples=["2026-11-24"])
    solved: int = Field(examples=[3], description="Problems solved for the first time on it.")


class LanguageCount(Answer):
    """Problems by the language of their first solve."""

    language: str = Field(examples=["cpp"])
    solved: int = Field(examples=[40])


class UserSummary(Answer):
    """One user, in short."""

    user_id: str = Field(examples=["u-1"])
    username: str = Field(examples=["ada"], description="Names repeat; ids do not.")
    problems_solved: int = Field(examples=[42])
    last_solved_at: datetime | None = Field(examples=[EXAMPLE_TIME])


class UserList(Answer):
    """Everybody of one name, by count."""

    users: list[UserSummary]
    more: bool = Field(examples=[False], description="Whether there are more than were asked for.")


class Profile(UserSummary):
    """Everything a profile page shows. Counts come from PostgreSQL, at `as_of`."""

    registered_at: datetime | None = Field(examples=["2026-01-02T03:04:05Z"])
    rank: int | None = Field(examples=[7], description="Null for who has solved nothing.")
    current_streak: int = Field(examples=[3], description="Days in a row, until yesterday or today.")
    longest_streak: int = Field(examples=[12])
    timezone: str = Field(examples=["UTC"], description="In which days begin.")
    days: list[Day] = Field(description="With at least one first solve, oldest first.")
    languages: list[LanguageCount] = Field(description="Most used first.")
    recent_solves: list[Solve] = Field(description="Newest first.")
    version: int = Field(examples=[1_795_511_390_000_000], description="Rises with each change of the count.")
    as_of: datetime = Field(examples=[EXAMPLE_TIME])


Period = Literal["all", "day", "week", "month"]
Source = Literal["redis", "postgresql"]


class BoardEntry(Answer):
    """One place of a board."""

    rank: int = Field(examples=[1])
    user_id: str = Field(examples=["u-1"])
    username: str | None = Field(examples=["ada"], description="Null where the user has just gone.")
    problems_solved: int = Field(examples=[42], description="In the period.")
    last_solved_at: datetime = Field(examples=[EXAMPLE_TIME], description="In whole seconds, as ties are broken.")


class LeaderboardPage(Answer):
    """A stretch of a board."""

    period: Period = Field(examples=["all"])
    timezone: str = Field(examples=["UTC"])
    begins_at: datetime | None = Field(examples=[None], description="Of the period; null for all time.")
    ends_at: datetime | None = Field(examples=[None])
    total: int = Field(examples=[2000], description="Users on the whole board.")
    entries: list[BoardEntry]
    me: BoardEntry | None = Field(description="The place of `me` or `around`, wherever it is.")
    unranked: list[str] = Field(examples=[["u-9"]], description="Friends who are not on this board.")
    next_cursor: str | None = Field(examples=["MTAuNDYuMTc5NTUxMTM5MC51LTE"], description="Of the page after.")
    previous_cursor: str | None = Field(examples=[None], description="Of the page before.")
    source: Source = Field(examples=["redis"])
    as_of: datetime = Field(examples=[EXAMPLE_TIME], description="Every solve committed before is in it.")
