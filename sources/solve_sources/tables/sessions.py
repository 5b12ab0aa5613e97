"""Turns rows of a platform's own tables into records: attempts into verdicts, users into registrations. No I/O.

A row always gives the same event, so that an import can be run again: the same event counts once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, tzinfo
from typing import Any

from pydantic import ValidationError

from solve_schemas.events import Event, SubmissionSolved, UserRegistered
from solve_schemas.messages import message_of
from solve_schemas.record import EncodedRecord, decode, encode
from solve_schemas.rejection import Rejected
from solve_sources.errors import BadRow
from solve_sources.text import CONTROL_CHARS

MADE_ID = "session-{key}"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimeRules:
    """How times are read: the zone of those without one, and what replaces one that is missing."""

    zone: tzinfo = UTC
    default_time: datetime | None = None

    def moment(self, value: Any, what: str) -> datetime:
        """A time with its zone. Raises BadRow."""
        if value is None:
            if self.default_time is None:
                raise BadRow(f"{what} has no time; fix the row, or give one for all such rows with --default-time")
            return self.default_time
        if isinstance(value, datetime):
            if value.year in {MINYEAR, MAXYEAR}:
                raise BadRow(f"{what} has the time infinity; fix the row")
            return value if value.tzinfo else value.replace(tzinfo=self.zone).astimezone(UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=self.zone).astimezone(UTC)
        raise BadRow(f'{what} has "{value}" for a time; its column must be a timestamp')


def record_of_session(row: Row, times: TimeRules, now: datetime) -> EncodedRecord | None:
    """The record of a completed attempt; None for one that was not completed. Raises BadRow, with the row's key."""
    if not row["completed"]:
        return None
    what = f"the row with key {row['key_text']}"
    return _record(
        SubmissionSolved,
        {
            "submission_id": row.get("submission_id") or MADE_ID.format(key=row["key_text"]),
            "user_id": row["user_id"],
            "problem_id": row["problem_id"],
            "judged_at": times.moment(row["completed_at"], what),
            "language": row.get("language"),
            "contest_id": row.get("contest_id"),
            "revision": row.get("revision"),
        },
        what,
        now,
    )


def record_of_user(row: Row, times: TimeRules, now: datetime) -> EncodedRecord:
    """The record of a user's registration; control characters in the name become spaces. Raises BadRow."""
    what = f"the user with id {row['key_text']}"
    fields = {
        "user_id": row["key_text"],
        "username": CONTROL_CHARS.sub(" ", row["username"] or ""),
        "registered_at": times.moment(row["registered_at"], what),
    }
    return _record(UserRegistered, fields, what, now)


def _record(model: type[Event], fields: dict[str, Any], what: str, now: datetime) -> EncodedRecord:
    try:
        event = model.model_validate(fields)
    except ValidationError as error:
        raise BadRow(f"{what} is not an event: {message_of(error)}; fix the row") from None
    record = encode(event)
    said_of_it = decode(record.value, record.headers, int(now.timestamp() * 1000))
    if isinstance(said_of_it, Rejected):
        raise BadRow(f"{what} is not an event: {said_of_it.detail}; fix the row")
    return record
