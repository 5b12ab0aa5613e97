"""Rows of a source, in the terms of the events: who takes part, and which submissions are solved."""

from datetime import datetime
from typing import NamedTuple


class WantedUser(NamedTuple):
    """A user as the source has them now; `listed` is None where it does not say, and what stands is kept."""

    user_id: str
    username: str
    registered_at: datetime
    listed: bool | None = None


class WantedSolve(NamedTuple):
    """A submission that stands as solved in the source now; absent text is the empty string."""

    user_id: str
    problem_id: str
    submission_id: str
    judged_at: datetime
    submitted_at: datetime
    language: str = ""
    contest_id: str = ""
    revision: int = 0
