"""Decodes records into rows: verdicts by a typed decoder four times as fast as the models, everything else by those.

The typed decoder takes only what `solve_schemas.record.decode` takes, with the same values; where it is in doubt it
says nothing. Why a record is refused is said in one place, there. A property test compares the two.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from solve_projector.domain.rule import Verdict, verdict_of
from solve_schemas.event_source import DEFAULT_SOURCE, kept_source
from solve_schemas.events import (
    REVISION_MAX,
    TEXT_MAX_CHARS,
    ProblemRestored,
    ProblemWithdrawn,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)
from solve_schemas.record import EARLIEST_TIME, EncodedRecord, decode, latest_time, record_of, source_of
from solve_schemas.record_type import NO_HEADER, named_headers
from solve_schemas.rejection import Rejected

if TYPE_CHECKING:
    from solve_projector.domain.batch import LogRecord

_Text = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX_CHARS)]
_OptionalText = Annotated[str, Meta(max_length=TEXT_MAX_CHARS)]
_Time = Annotated[datetime, Meta(tz=True)]
_Revision = Annotated[int, Meta(ge=0, le=REVISION_MAX)]


class _Solved(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    submission_id: _Text
    user_id: _Text
    problem_id: _Text
    judged_at: _Time
    revision: _Revision | None = None
    submitted_at: _Time | None = None
    language: _OptionalText | None = None
    contest_id: _OptionalText | None = None


class _Revoked(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    submission_id: _Text
    user_id: _Text
    problem_id: _Text
    judged_at: _Time
    revision: _Revision | None = None
    reason: _OptionalText | None = None


class _Unplaced(NamedTuple):
    """What is on no log yet."""

    value: bytes | None
    timestamp: int
    partition: int = 0
    offset: int = 0


Fact = UserRegistered | UserRemoved | ProblemWithdrawn | ProblemRestored
_TypedDecoder = Callable[[bytes], _Solved | _Revoked]
_SOLVED = SubmissionSolved.type_name.encode()
_OUR_CLIENT = DEFAULT_SOURCE.encode()
_TYPED_DECODERS: dict[bytes | None, _TypedDecoder] = {
    _SOLVED: Decoder(_Solved).decode,
    SubmissionRevoked.type_name.encode(): Decoder(_Revoked).decode,
}
_encode = Encoder().encode
BACKSLASH = ord(b"\\")  # finding a byte by its number takes an eighth of the time
_DELETE = 0x7F
_new_row = tuple.__new__  # half the time of the named tuple's own
_more_than_microseconds = re.compile(rb"\.[0-9]{7}").search
_no_plain_integer = re.compile(rb'"revision"\s*:\s*(-|[0-9]+[.eE])').search
_c1_control = re.compile(rb"\xc2[\x80-\x9f]").search


def decode_record(record: "LogRecord") -> Verdict | Fact | Rejected:
    """What a record asks for, or why it asks for nothing. Never raises, whatever the bytes."""
    verdict = _typed(record)
    if verdict is not None:
        return verdict
    said = decode(record.value, record.headers, record.timestamp)
    if isinstance(said, SubmissionSolved | SubmissionRevoked):
        return verdict_in(record, said)
    return said


def verdict_in(record: "LogRecord", event: SubmissionSolved | SubmissionRevoked) -> Verdict:
    """The event of a record as a row, with the record's place and source."""
    return verdict_of(event, record.partition, record.offset, source_of(record.value, record.headers))


def verdict_record(type_name: bytes, value: bytes, timestamp_ms: int, source: str) -> EncodedRecord | None:
    """The record of a verdict, as our client encodes its event; None where the typed decoder says nothing."""
    typed_decoder = _TYPED_DECODERS.get(type_name)
    if typed_decoder is None or _verdict(_Unplaced(value, timestamp_ms), typed_decoder, "") is None:
        return None
    event = typed_decoder(value)
    return record_of(type_name, event.user_id, _encode(event), event.judged_at, source)


def _typed(record: "LogRecord") -> Verdict | None:
    headers = record.headers
    type_index, source_index = named_headers(headers)
    if type_index is None:
        return None
    named = _SOLVED if type_index == NO_HEADER else headers[type_index][1]
    typed_decoder = _TYPED_DECODERS.get(named)
    source = None if source_index == NO_HEADER else headers[source_index][1]
    is_kept = source is not None and source != _OUR_CLIENT  # a comparison takes a third of the call
    return typed_decoder and _verdict(record, typed_decoder, kept_source(source) if is_kept else "")


def _verdict(record: "LogRecord | _Unplaced", typed_decoder: _TypedDecoder, source: str) -> Verdict | None:
    value = record.value or b""
    try:
        event = typed_decoder(value)
    except (MsgspecError, ValueError):
        return None
    judged_at, submitted_at = event.judged_at, None
    language = contest_id = reason = ""
    if isinstance(event, _Solved):
        submitted_at = event.submitted_at or judged_at
        language, contest_id = event.language or "", event.contest_id or ""
    else:
        reason = event.reason or ""
    latest, last = latest_time(record.timestamp), submitted_at or judged_at
    if (
        # another zone may be written as msgspec alone takes it
        judged_at.tzinfo is not UTC
        or last.tzinfo is not UTC
        or not (EARLIEST_TIME <= judged_at <= latest and EARLIEST_TIME <= last <= latest)
        or _in_doubt(value, event)
    ):
        return None
    return _new_row(Verdict, (
        event.user_id, event.problem_id, event.submission_id, submitted_at is not None, judged_at, submitted_at,
        language, contest_id, reason, record.partition, record.offset, event.revision or 0, source,
    ))  # fmt: skip


def _in_doubt(value: bytes, event: _Solved | _Revoked) -> bool:
    """Whether the decoders may differ: control characters, also as escapes, nanoseconds, a zone `+0000`, 1.0."""
    return (
        BACKSLASH in value
        or _DELETE in value
        or (not value.isascii() and _c1_control(value) is not None)
        # an event that is encoded to the same bytes has its times as our own client writes them: the cheapest test
        or (
            _encode(event) != value
            and (
                b'0000"' in value
                or _more_than_microseconds(value) is not None
                or (event.revision is not None and _no_plain_integer(value) is not None)
            )
        )
    )
