"""Bodies of answers about users, with examples."""

from datetime import date, datetime

from pydantic import Field

from solve_api.bodies import EXAMPLE_TIME, Body


class Solve(Body):
    """The first standing solve of one problem."""

    problem_id: str = Field(examples=["two-sum"])
    submission_id: str = Field(examples=["s-1"])
    submitted_at: datetime = Field(examples=[EXAMPLE_TIME])
    language: str | None = Field(examples=["cpp"], description="Null if the judge did not send one.")
    contest_id: str | None = Field(examples=["round-7"])
    withdrawn: bool = Field(
        examples=[False], description="Whether the problem was withdrawn, so that it does not count."
    )


class Day(Body):
    """One day of the heatmap."""

    day: date = Field(examples=["2026-11-24"])
    solved: int = Field(examples=[3], description="Problems first solved on this day.")


class LanguageCount(Body):
    """Problems by the language of their first solve."""

    language: str = Field(examples=["cpp"])
    solved: int = Field(examples=[40])


class UserSummary(Body):
    """One user, in short."""

    user_id: str = Field(examples=["u-1"])
    username: str = Field(examples=["ada"], description="Not unique; ids are.")
    problems_solved: int = Field(examples=[42])
    last_solved_at: datetime | None = Field(examples=[EXAMPLE_TIME])


class UserList(Body):
    """Users who were found, highest count first."""

    users: list[UserSummary]
    more: bool = Field(
        examples=[False],
        description="Whether more users match than were returned; without `next_cursor`, a longer text finds them.",
    )
    next_cursor: str | None = Field(examples=["NDIudS0x"], description="Cursor of the next page.")
    complete: bool = Field(
        examples=[True],
        description="False if so many match that only some were looked at, which may not be those with most solved; "
        "this lasts until they have been ranked once.",
    )
    as_of: datetime = Field(
        examples=[EXAMPLE_TIME],
        description="Includes everything committed before this time. If more than 1,000 names and ids match, the 100 "
        "users are found who had solved most then; their counts are newer.",
    )


class SolveList(Body):
    """One page of a user's solves, newest first."""

    user_id: str = Field(examples=["u-1"])
    username: str = Field(examples=["ada"])
    problems_solved: int = Field(examples=[42], description="On all pages.")
    solves: list[Solve]
    next_cursor: str | None = Field(examples=["MTc5NTUxMTM5MDAwMDAwMC5w"], description="Cursor of the next page.")
    as_of: datetime = Field(examples=[EXAMPLE_TIME])


RANK_NULL = (
    "Null for users who are not listed or have not solved anything, and for a moment while the leaderboard is computed "
    "because Redis is unavailable."
)


class Profile(UserSummary):
    """Everything on a profile page. Counts come from PostgreSQL, as of `as_of`."""

    registered_at: datetime | None = Field(examples=["2026-01-02T03:04:05Z"])
    listed: bool = Field(examples=[True], description="Whether the user is on leaderboards.")
    rank: int | None = Field(examples=[7], description=RANK_NULL)
    current_streak: int = Field(examples=[3], description="Consecutive days up to today or yesterday.")
    longest_streak: int = Field(examples=[12])
    timezone: str = Field(examples=["UTC"], description="The time zone that days are counted in.")
    days: list[Day] = Field(description="Days with at least one first solve, oldest first.")
    languages: list[LanguageCount] = Field(description="Most used first.")
    recent_solves: list[Solve] = Field(description="Newest first.")
    version: int = Field(examples=[1_795_511_390_000_000], description="Rises with each change of the count.")
    rank_as_of: datetime | None = Field(
        examples=[EXAMPLE_TIME], description="The rank is among others as they stood then."
    )
    as_of: datetime = Field(examples=[EXAMPLE_TIME])
