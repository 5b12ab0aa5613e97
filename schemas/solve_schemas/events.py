"""What may a judge say? The three event types, their fields and their limits.

Limits keep one bad event from stopping a batch: PostgreSQL cannot store NUL, and a number as a time is
ambiguous. Unknown fields are ignored, so that an older reader survives a newer judge.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

TEXT_MAX_CHARS = 200
NO_CONTROL_CHARS = r"^[^\x00-\x1f\x7f-\x9f]*$"
RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX_CHARS, pattern=NO_CONTROL_CHARS)]
OptionalText = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARS, pattern=NO_CONTROL_CHARS)]


class _Rfc3339:
    """In JSON a time is text in the form of RFC 3339 with a zone; pydantic alone would take "1700000000" too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        aware = handler(source)
        text = core_schema.str_schema(pattern=RFC3339)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema(
                [text, core_schema.datetime_schema(tz_constraint="aware", strict=False)]
            ),
            python_schema=aware,
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "date-time", "pattern": RFC3339}


Time = Annotated[AwareDatetime, _Rfc3339()]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    type_name: ClassVar[str]


class UserRegistered(_Event):
    """A user exists from now on; said again with a later time, it is a rename."""

    type_name: ClassVar[str] = "user.registered.v1"

    user_id: Text = Field(description="The judge's stable id of the user; the record's key.")
    username: Text = Field(description="The name people see. Not unique.")
    registered_at: Time = Field(description="When the user took this name.")

    @property
    def happened_at(self) -> datetime:
        """The time of the fact itself, as CloudEvents' `time`."""
        return self.registered_at


class _Verdict(_Event):
    submission_id: Text = Field(description="The judge's stable id of the submission.")
    user_id: Text = Field(description="Who submitted; the record's key.")
    problem_id: Text = Field(description="Which problem it answers.")
    judged_at: Time = Field(description="When it was reached. Of one submission's verdicts the latest stands.")

    @property
    def happened_at(self) -> datetime:
        """The time of the fact itself, as CloudEvents' `time`."""
        return self.judged_at


class SubmissionSolved(_Verdict):
    """The submission is right: its problem counts for its user."""

    type_name: ClassVar[str] = "submission.solved.v1"

    submitted_at: Time | None = Field(None, description="When it was handed in; absent, it is `judged_at`.")
    language: OptionalText | None = Field(None, description="What it is written in.")
    contest_id: OptionalText | None = Field(None, description="The contest it was handed in to.")


class SubmissionRevoked(_Verdict):
    """The submission counts no more: rejudged, disqualified or deleted."""

    type_name: ClassVar[str] = "submission.revoked.v1"

    reason: OptionalText | None = Field(None, description="Why, for people.")


Event = UserRegistered | SubmissionSolved | SubmissionRevoked
EVENT_MODELS: dict[str, type[UserRegistered] | type[SubmissionSolved] | type[SubmissionRevoked]] = {
    model.type_name: model for model in (UserRegistered, SubmissionSolved, SubmissionRevoked)
}
