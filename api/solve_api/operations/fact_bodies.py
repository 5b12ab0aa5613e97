"""Bodies of requests and answers about facts that admins publish, and of what they see before, with examples."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from solve_api.bodies import EXAMPLE_TIME, Asked, Body
from solve_schemas.events import Text

Reason = Annotated[
    Text, Field(description="Why, for other admins to read; no name of the user.", examples=["asked to be"])
]
PARKED_MAX = 10_000


class RemoveRequest(Asked):
    """A user to remove."""

    user_id: Text = Field(examples=["u-1"])
    reason: Reason
    erase: StrictBool = Field(False, description="Whether the name leaves everything of ours. This is final.")


class UnlistRequest(Asked):
    """A user to show on no leaderboard."""

    user_id: Text = Field(examples=["u-1"])
    reason: Reason


class ListRequest(Asked):
    """A user to show on leaderboards, also one who was removed."""

    user_id: Text = Field(examples=["u-1"])
    reason: Reason
    username: Text | None = Field(
        None,
        examples=["ada"],
        description="The name from now on, which then is in the log. Required where the log said one and none is kept, "
        "as after an erasure.",
    )


class Published(Body):
    """An event that the log has. It counts once the projector has applied it."""

    type: str = Field(examples=["user.removed.v1"])
    at: datetime = Field(examples=[EXAMPLE_TIME], description="The time that the event carries.")
    topic: str = Field(examples=["judge-events"])
    partition: int | None = Field(examples=[3])
    offset: int | None = Field(examples=[47_021], description="Null if the brokers did not say it.")


class Removal(Body):
    """The latest removal of a user."""

    at: datetime = Field(examples=[EXAMPLE_TIME])
    reason: str = Field(examples=["asked to be"])


class FoundUser(Body):
    """A user whom a search found, hidden or not."""

    user_id: str = Field(examples=["u-1"])
    username: str | None = Field(examples=["ada"], description="Null if nobody registered the user, or it is erased.")
    listed: bool = Field(examples=[True])
    removed: bool
    problems_solved: int = Field(examples=[42])


class FoundUsers(Body):
    """First who has just this id, then by name and id."""

    users: list[FoundUser]
    more: bool = Field(examples=[False], description="Whether more match; a longer text finds them.")


class UserRecord(FoundUser):
    """What the facts say of one user, and what follows."""

    origin: Literal["log", "site"] | None = Field(
        examples=["log"], description="Who registered the user; null if nobody did."
    )
    nameless: bool = Field(
        examples=[False], description="Whether the name is kept out of the log: then no decision of the panel says it."
    )
    registered_at: datetime | None = Field(examples=[EXAMPLE_TIME])
    removal: Removal | None
    erased_at: datetime | None = Field(examples=[None], description="The latest removal that erases the name.")
    erased: bool = Field(description="Whether no later registration brought a name back.")
    last_solved_at: datetime | None = Field(examples=[EXAMPLE_TIME])
    parked_events: int = Field(
        examples=[0], description=f"Events that wait for a registration, counted up to {PARKED_MAX:,}."
    )
    applied: bool | None = Field(
        examples=[True], description="Whether the place that was asked for is applied; null if none was."
    )
    as_of: datetime = Field(examples=[EXAMPLE_TIME])


class ProblemFactRequest(Asked):
    """A problem to withdraw or to restore."""

    problem_id: Text = Field(examples=["two-sum"])
    reason: Reason


class Solvers(Body):
    """How many people have solved a problem."""

    number: int = Field(examples=[1_200])
    estimated: bool = Field(
        description="Whether the number is what PostgreSQL expects: to count them would take too long, or it changes."
    )


class ProblemRecord(Body):
    """What the facts say of one problem, and whom they touch."""

    problem_id: str = Field(examples=["two-sum"])
    withdrawn: bool = Field(description="Whether it counts for nobody.")
    decided_at: datetime | None = Field(examples=[EXAMPLE_TIME], description="The time of the fact that stands.")
    reason: str | None = Field(examples=["its tests were wrong"])
    recounting: bool = Field(description="Whether its solvers are being counted anew.")
    solvers: Solvers
    applied: bool | None = Field(
        examples=[True], description="Whether the place that was asked for is applied; null if none was."
    )
    as_of: datetime = Field(examples=[EXAMPLE_TIME])
