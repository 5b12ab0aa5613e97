"""Decodes records into rows: verdicts by a typed decoder four times as fast as the models, everything else by those.

The typed decoder takes only what `solve_schemas.record.decode` takes, with the same values; where it is in doubt it
says nothing. Why a record is refused is said in one place, there. A property test compares the two.
"""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder

from solve_projector.domain.rule import Verdict, verdict_of
from solve_schemas.events import TEXT_MAX_CHARS, SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_schemas.record import EARLIEST_TIME, Rejected, decode, latest_time

if TYPE_CHECKING:
    from solve_projector.domain.batch import LogRecord

_Text = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX_CHARS)]
_OptionalText = Annotated[str, Meta(max_length=TEXT_MAX_CHARS)]
_Time = Annotated[datetime, Meta(tz=True)]


class _Solved(Struct, forbid_unknown_fields=True, gc=False):
    submission_id: _Text
    user_id: _Text
    problem_id: _Text
    judged_at: _Time
    submitted_at: _Time | None = None
    language: _OptionalText | None = None
    contest_id: _OptionalText | None = None


class _Revoked(Struct, forbid_unknown_fields=True, gc=False):
    submission_id: _Text
    user_id: _Text
    problem_id: _Text
    judged_at: _Time
    reason: _OptionalText | None = None


_decode_solved = Decoder(_Solved).decode
_decode_revoked = Decoder(_Revoked).decode
_SOLVED_TYPE = SubmissionSolved.type_name.encode()
_REVOKED_TYPE = SubmissionRevoked.type_name.encode()
_more_than_microseconds = re.compile(rb"\.[0-9]{7}").search
_c1_control = re.compile(rb"\xc2[\x80-\x9f]").search


def decode_record(record: "LogRecord") -> Verdict | UserRegistered | Rejected:
    """What a record asks for, or why it asks for nothing. Never raises, whatever the bytes."""
    verdict = _typed(record)
    if verdict is not None:
        return verdict
    said = decode(record.value, record.headers, record.timestamp)
    if isinstance(said, UserRegistered | Rejected):
        return said
    return verdict_of(said, record.partition, record.offset)


def _typed(record: "LogRecord") -> Verdict | None:
    for name, content in record.headers:
        if name == "ce_type":
            if content == _SOLVED_TYPE:
                return _solved(record)
            return _revoked(record) if content == _REVOKED_TYPE else None
    return None


def _solved(record: "LogRecord") -> Verdict | None:
    try:
        event = _decode_solved(_undoubted(record.value))
    except (MsgspecError, ValueError):
        return None
    latest, judged_at = latest_time(record.timestamp), event.judged_at
    submitted_at = judged_at if event.submitted_at is None else event.submitted_at
    # another zone may be written as msgspec alone takes it
    if judged_at.tzinfo is not UTC or submitted_at.tzinfo is not UTC:
        return None
    if not (EARLIEST_TIME <= judged_at <= latest and EARLIEST_TIME <= submitted_at <= latest):
        return None
    return Verdict(
        event.user_id, event.problem_id, event.submission_id, True, judged_at, submitted_at,
        event.language or "", event.contest_id or "", "", record.partition, record.offset,
    )  # fmt: skip


def _revoked(record: "LogRecord") -> Verdict | None:
    try:
        event = _decode_revoked(_undoubted(record.value))
    except (MsgspecError, ValueError):
        return None
    judged_at = event.judged_at
    if judged_at.tzinfo is not UTC or not EARLIEST_TIME <= judged_at <= latest_time(record.timestamp):
        return None
    return Verdict(
        event.user_id, event.problem_id, event.submission_id, False, judged_at, None,
        "", "", event.reason or "", record.partition, record.offset,
    )  # fmt: skip


def _undoubted(value: bytes | None) -> bytes:
    """The value, or nothing where the decoders may differ: escapes, control characters, nanoseconds, a zone `+0000`."""
    if (
        value is None
        or b"\\" in value
        or b"\x7f" in value
        or b'0000"' in value
        or _more_than_microseconds(value)
        or (not value.isascii() and _c1_control(value))
    ):
        return b""
    return value
