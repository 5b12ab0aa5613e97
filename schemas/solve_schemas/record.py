"""Encodes and decodes Kafka records and lines of event files, both in one dialect.

A record is a CloudEvents message in Kafka *binary* mode (CloudEvents 1.0, Kafka protocol binding, section 3.2):
the key is the `user_id`, the envelope is in headers, the value is the event's flat JSON. A line of a file is that JSON
with its type inside. Without any type both are a solve; a type that nobody knows makes neither of them one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from pydantic import ValidationError

from solve_schemas.events import EVENT_MODELS, Event, SubmissionSolved, UserRegistered
from solve_schemas.messages import message_of

Headers = Sequence[tuple[str, bytes | None]]

DEFAULT_SOURCE = "solve-counts"
TRACEPARENT = "traceparent"  # W3C Trace Context; says nothing of the event, and may be missing
CLOCK_TOLERANCE = timedelta(days=1)
EARLIEST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime.max.replace(tzinfo=UTC)
DETAIL_MAX_CHARS = 500
TYPE_MAX_CHARS = 200  # of a type that nobody knows, within a detail
_MODELS_BY_HEADER = {name.encode(): model for name, model in EVENT_MODELS.items()}


class Reason(StrEnum):
    """Why a record could not be applied; a stable word that operators filter by."""

    TOMBSTONE = "tombstone"
    UNKNOWN_TYPE = "unknown-type"
    TYPE_MISMATCH = "type-mismatch"
    NOT_JSON = "not-json"
    INVALID_EVENT = "invalid-event"
    TIME_OUT_OF_RANGE = "time-out-of-range"
    REFUSED_BY_DATABASE = "refused-by-database"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why some bytes are not an event: the reason in one word, and a sentence for a person."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class EncodedRecord:
    """Key, value and headers of a Kafka record."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def encode(event: Event, source: str = DEFAULT_SOURCE, traceparent: str | None = None) -> EncodedRecord:
    """The record of an event. The same event gives the same `ce_id`, so that a resend is seen as one.

    `traceparent` names the span under which it is published.
    """
    value = event.model_dump_json(exclude_none=True).encode()
    type_name = event.type_name.encode()
    identity = blake2b(type_name + b"\n" + value, digest_size=16).hexdigest()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type_name),
        ("ce_time", _plain(event.happened_at.astimezone(UTC)).encode()),
        ("content-type", b"application/json"),
    ]
    if traceparent is not None:
        headers.append((TRACEPARENT, traceparent.encode()))
    return EncodedRecord(event.user_id.encode(), value, headers)


def decode(value: bytes | None, headers: Headers, broker_timestamp_ms: int) -> Event | Rejected:
    """The event of a record, or why there is none. Never raises, whatever the bytes.

    `broker_timestamp_ms` is the record's own LogAppendTime: times later than a day after it are refused, and
    comparing with the record instead of with the clock keeps a replay's answer the same.
    """
    named = _type_header(headers)
    if value is None:
        return Rejected(Reason.TOMBSTONE, "the record has no value; to take a solve back, publish a revocation")
    if named is None:
        inside = _model_inside(value)
        if isinstance(inside, type) and inside is not SubmissionSolved:
            return Rejected(
                Reason.TYPE_MISMATCH,
                f"the value's `type` is {inside.type_name}, but there is no ce_type header; send the header",
            )
        return inside if isinstance(inside, Rejected) else _check_times(_validate(inside, value), broker_timestamp_ms)
    model = _MODELS_BY_HEADER.get(named)
    if model is None:
        return _unknown_type("ce_type", named.decode("utf-8", "backslashreplace"))
    return _check_times(_validate(model, value), broker_timestamp_ms)


def _type_header(headers: Headers) -> bytes | None:
    for name, content in headers:
        if name == "ce_type":
            return content or b""
    return None


def encode_line(event: Event) -> str:
    """One line of an event file (NDJSON, without the newline): the flat JSON with its type inside."""
    return json.dumps(
        {"type": event.type_name, **event.model_dump(mode="json", exclude_none=True)},
        ensure_ascii=False,
        separators=(",", ":"),
    )


def decode_line(line: bytes, now: datetime) -> Event | Rejected:
    """The event of one line of an event file, or why there is none. Never raises, whatever the bytes.

    `now` stands for the broker timestamp that the event would get, so that a line is refused before it is sent
    and not dead-lettered after.
    """
    model = _model_inside(line)
    if isinstance(model, Rejected):
        return model
    return _check_times(_validate(model, line), int(now.timestamp() * 1000))


def _model_inside(value: bytes) -> type[Event] | Rejected:
    """What the JSON itself says it is: a solve where it names no type. A wrong type must never count as a solve."""
    if b'"type"' not in value and b"\\u" not in value:
        return SubmissionSolved
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        return SubmissionSolved  # _validate says what is wrong with it
    named = fields.get("type") if isinstance(fields, dict) else None
    if named is None:
        return SubmissionSolved
    model = EVENT_MODELS.get(named) if isinstance(named, str) else None
    return model or _unknown_type("`type`", named)


def _unknown_type(where: str, named: object) -> Rejected:
    known = ", ".join(EVENT_MODELS)
    return Rejected(Reason.UNKNOWN_TYPE, f"{where} is {_clip(json.dumps(named), TYPE_MAX_CHARS)}, not one of {known}")


def _validate(model: type[Event], value: bytes) -> Event | Rejected:
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        not_json = any(problem["type"] == "json_invalid" for problem in error.errors(include_url=False))
        return Rejected(Reason.NOT_JSON if not_json else Reason.INVALID_EVENT, _clip(message_of(error)))


def _check_times(event: Event | Rejected, broker_timestamp_ms: int) -> Event | Rejected:
    if isinstance(event, Rejected):
        return event
    refused = out_of_range(event, broker_timestamp_ms)
    return Rejected(Reason.TIME_OUT_OF_RANGE, refused) if refused else event


def out_of_range(event: Event, broker_timestamp_ms: int) -> str | None:
    """Which time of an event cannot be of a record with this timestamp, in a sentence; None where all can."""
    latest = latest_time(broker_timestamp_ms)
    times = {"registered_at" if isinstance(event, UserRegistered) else "judged_at": event.happened_at}
    if isinstance(event, SubmissionSolved) and event.submitted_at is not None:
        times["submitted_at"] = event.submitted_at
    for name, time in times.items():
        if not EARLIEST_TIME <= time <= latest:
            stamp = _plain(latest - CLOCK_TOLERANCE)
            return f"`{name}` must be between 1970 and one day after the broker's {stamp}, and is {_plain(time)}"
    return None


def _plain(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=64)  # the records of one batch on the wire share their LogAppendTime
def latest_time(broker_timestamp_ms: int) -> datetime:
    """The latest time that an event of this record may have."""
    try:
        return EARLIEST_TIME + timedelta(milliseconds=broker_timestamp_ms) + CLOCK_TOLERANCE
    except OverflowError:
        return LATEST_TIME


def _clip(text: str, max_chars: int = DETAIL_MAX_CHARS) -> str:
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
