"""Reads where a platform keeps its attempts and users, and what they mean: from a file of TOML, or as options say.

timezone = "Europe/Berlin"      # of times that have none

[attempts]
table = "solution"
key = "solution_id"
completed = "result"
solved = [4]                    # the values of `completed` that count; without them it is a boolean
completed_at = "in_date"

[users]                         # left out: they are registered already
table = "users"
key = "user_id"
username = "nick"
registered_at = "reg_time"

[prefix]                        # of ids that this platform alone would not share with others
problem_id = "hustoj:"
"""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from solve_schemas.messages import message_of
from solve_sources.errors import SourceUnusable
from solve_sources.tables.sessions import Prefix, TimeRules, value_text

MAPPING_MAX_BYTES = 2**20
AS_GIVEN = ConfigDict(extra="forbid")


def _values(said: Any) -> frozenset[str]:
    values = said if isinstance(said, (list, tuple, set, frozenset)) else [said]
    if not values or not all(isinstance(value, str | int) for value in values):
        raise ValueError("must be the values that count as solved, texts or numbers")
    return frozenset(map(value_text, values))


Values = Annotated[frozenset[str], BeforeValidator(_values)]


@dataclass(frozen=True, slots=True, config=AS_GIVEN)
class Sessions:
    """Which table and columns hold the attempts, or a `query` that gives them under the names used here."""

    table: str = "problem_sessions"
    key: str = "id"
    user_id: str = "user_id"
    problem_id: str = "problem_id"
    completed: str = "completed"
    completed_at: str = "completed_at"
    submission_id: str | None = None
    language: str | None = None
    contest_id: str | None = None
    revision: str | None = None
    query: str | None = None
    submitted_at: str | None = None
    solved: Values | None = None


@dataclass(frozen=True, slots=True, config=AS_GIVEN)
class Users:
    """Which table and columns hold the users, or a `query` that gives them under the names used here."""

    table: str = "users"
    key: str = "id"
    username: str = "username"
    registered_at: str = "created_at"
    query: str | None = None
    listed: str | None = None


class Mapping(BaseModel):
    """What a mapping file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: Sessions
    users: Users | None = None
    prefix: Prefix = Field(default_factory=Prefix)
    timezone: str = "UTC"
    default_time: AwareDatetime | None = None

    def times(self) -> TimeRules:
        """How times are read. Raises SourceUnusable."""
        return TimeRules(zone_of(self.timezone, "timezone"), self.default_time)


def read_mapping(path: Path) -> Mapping:
    """The mapping of a file. Raises SourceUnusable, with what is wrong and where."""
    try:
        with path.open("rb") as file:
            said = tomllib.loads(file.read(MAPPING_MAX_BYTES).decode("utf-8-sig"))
        return Mapping.model_validate(said)
    except OSError as error:
        raise SourceUnusable(f"cannot read {path}: {error.strerror}; name a mapping file") from None
    except ValidationError as error:
        raise SourceUnusable(f"{path}: {message_of(error)}") from None
    except ValueError as error:  # of TOML, or bytes that are no text
        raise SourceUnusable(f"{path} is not TOML: {error}") from None


def zone_of(name: str, given: str) -> ZoneInfo:
    """The time zone of that name. Raises SourceUnusable."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SourceUnusable(f'{given} "{name}" is not a time zone; write a name such as Europe/Berlin') from None


def moment_of(text: str, given: str) -> datetime:
    """The time of that text, in UTC where it names no zone. Raises SourceUnusable."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SourceUnusable(f'{given} "{text}" is not a time; write 2024-01-01T00:00:00Z') from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
