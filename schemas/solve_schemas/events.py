"""The event types of a judge, their fields and their limits: verdicts, and facts about users and problems.

The limits keep one bad event from stopping a batch: PostgreSQL cannot store NUL, and a number as a time is ambiguous.
Unknown fields are ignored, so that an older reader survives a newer judge. In JSON an id is text; Python code may give
an integer or a UUID, as most primary keys are.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

TEXT_MAX_CHARS = 200
REVISION_MAX = 2**53 - 1  # above, JSON of other languages is no longer exact
NO_CONTROL_CHARS = r"^[^\x00-\x1f\x7f-\x9f]*$"
RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
A_TIME = "2026-01-02T03:04:05Z"


IN_WORDS = "solve_counts"  # the type of the errors whose message is ours


def id_text(value: Any) -> Any:
    """An integer or a UUID as text; anything else as it is. True and False are no ids."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, UUID) else value


def _said(schema: CoreSchema, message: str) -> CoreSchema:
    """Pydantic's own words would show a person a regular expression."""
    return core_schema.custom_error_schema(schema, custom_error_type=IN_WORDS, custom_error_message=message)


@dataclass(frozen=True, slots=True)
class _Text:
    """Text within the limits. Python code may give `ids` as integers or UUIDs, and None for what is `maybe` absent."""

    min_chars: int
    ids: bool = False
    maybe: bool = False

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        sized = core_schema.str_schema(min_length=self.min_chars, max_length=TEXT_MAX_CHARS, strict=True)
        length = f"1 to {TEXT_MAX_CHARS}" if self.min_chars else f"at most {TEXT_MAX_CHARS}"
        text = core_schema.chain_schema(
            [
                _said(sized, f"must be text of {length} characters"),
                _said(core_schema.str_schema(pattern=NO_CONTROL_CHARS), "may not contain control characters"),
            ]
        )
        given: CoreSchema = core_schema.no_info_before_validator_function(id_text, text) if self.ids else text
        given = core_schema.nullable_schema(given) if self.maybe else given
        return core_schema.json_or_python_schema(json_schema=text, python_schema=given)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        limits = {"maxLength": TEXT_MAX_CHARS} | ({"minLength": self.min_chars} if self.min_chars else {})
        return limits | {"pattern": NO_CONTROL_CHARS, "type": "string"}


class _Rfc3339:
    """In JSON a time is text in the form of RFC 3339 with a zone; pydantic alone would take "1700000000" too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        time = core_schema.datetime_schema(tz_constraint="aware", strict=False)
        chain = core_schema.chain_schema([core_schema.str_schema(pattern=RFC3339), time])
        text = _said(chain, f"must be a time with a zone, such as {A_TIME}")
        return core_schema.json_or_python_schema(json_schema=text, python_schema=handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "date-time", "pattern": RFC3339}


class _Revision:
    """A whole number, in JSON and in Python."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.int_schema(ge=0, le=REVISION_MAX, strict=True)
        return _said(number, f"must be a whole number from 0 to {REVISION_MAX}")

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0, "maximum": REVISION_MAX}


Text = Annotated[str, _Text(1)]
Id = Annotated[str, _Text(1, ids=True)]
OptionalText = Annotated[str, _Text(0)]
OptionalId = Annotated[str, _Text(0, ids=True)]
Time = Annotated[AwareDatetime, _Rfc3339()]
Revision = Annotated[int, _Revision()]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    type_name: ClassVar[str]
    time_name: ClassVar[str]
    key_name: ClassVar[str] = "user_id"

    @property
    def key(self) -> str:
        """What the record is keyed by."""
        key: str = getattr(self, self.key_name)
        return key

    @property
    def happened_at(self) -> datetime:
        """When the fact happened; CloudEvents' `time`."""
        time: datetime = getattr(self, self.time_name)
        return time


class UserRegistered(_Event):
    """A user exists from now on; sent again with a later time, it is a rename, or another listing."""

    type_name: ClassVar[str] = "user.registered.v1"
    time_name: ClassVar[str] = "registered_at"

    user_id: Id = Field(description="The judge's stable id of the user; the record's key.")
    username: Annotated[str | None, _Text(1, maybe=True)] = Field(
        None,
        description="The name people see. Not unique. Absent, it is the one that the site wrote into `users`, or none, "
        "and the id is shown.",
    )
    registered_at: Time = Field(description="When the user took this name.")
    listed: bool | None = Field(
        None, description="False: counted, with a profile, and on no board. Absent, it is true."
    )


class UserRemoved(_Event):
    """A user is shown nowhere until a later registration; verdicts go on being kept."""

    type_name: ClassVar[str] = "user.removed.v1"
    time_name: ClassVar[str] = "removed_at"

    user_id: Id = Field(description="The judge's stable id of the user; the record's key.")
    removed_at: Time = Field(description="When the user was removed; a registration later than that undoes it.")
    reason: OptionalText | None = Field(None, description="Why, for people to read.")
    erase: bool | None = Field(None, description="Whether the name leaves everything of ours. Absent, it is false.")


class _Verdict(_Event):
    time_name: ClassVar[str] = "judged_at"

    submission_id: Id = Field(description="The judge's stable id of the submission.")
    user_id: Id = Field(description="Who submitted; the record's key.")
    problem_id: Id = Field(description="Which problem it is for.")
    judged_at: Time = Field(
        description="When the verdict was reached. Of one submission's verdicts of one revision the latest stands."
    )
    revision: Revision | None = Field(
        None,
        description="The judge's own count of the submission's verdicts: the greatest stands, whatever the clocks say. "
        "Absent, it is 0.",
    )


class SubmissionSolved(_Verdict):
    """The submission is right: its problem counts for its user."""

    type_name: ClassVar[str] = "submission.solved.v1"

    submitted_at: Time | None = Field(None, description="When it was handed in; absent, it is `judged_at`.")
    language: OptionalText | None = Field(None, description="The programming language.")
    contest_id: OptionalId | None = Field(None, description="The contest it was handed in to.")

    def revoked(self, judged_at: datetime, reason: str) -> "SubmissionRevoked":
        """The later verdict that takes this one back."""
        ids = self.model_dump(include={"submission_id", "user_id", "problem_id", "revision"})
        return SubmissionRevoked(**ids, judged_at=judged_at, reason=reason)


class SubmissionRevoked(_Verdict):
    """The submission counts no more: rejudged, disqualified or deleted."""

    type_name: ClassVar[str] = "submission.revoked.v1"

    reason: OptionalText | None = Field(None, description="Why, for people to read.")


class _ProblemFact(_Event):
    key_name: ClassVar[str] = "problem_id"

    problem_id: Id = Field(description="The judge's stable id of the problem; the record's key.")


class ProblemWithdrawn(_ProblemFact):
    """A problem counts for nobody, until it is restored."""

    type_name: ClassVar[str] = "problem.withdrawn.v1"
    time_name: ClassVar[str] = "withdrawn_at"

    withdrawn_at: Time = Field(description="When it was withdrawn. Of a problem's facts the latest stands.")
    reason: OptionalText | None = Field(None, description="Why, for people to read.")


class ProblemRestored(_ProblemFact):
    """A withdrawn problem counts as before."""

    type_name: ClassVar[str] = "problem.restored.v1"
    time_name: ClassVar[str] = "restored_at"

    restored_at: Time = Field(description="When it was restored. Of a problem's facts the latest stands.")
    reason: OptionalText | None = Field(None, description="Why, for people to read.")


Event = UserRegistered | UserRemoved | SubmissionSolved | SubmissionRevoked | ProblemWithdrawn | ProblemRestored
EVENT_MODELS: dict[str, type[Event]] = {
    model.type_name: model
    for model in (
        UserRegistered, UserRemoved, SubmissionSolved, SubmissionRevoked, ProblemWithdrawn, ProblemRestored,
    )
}  # fmt: skip
