"""How does an event travel? One place encodes and decodes Kafka records and lines of event files.

A record is a CloudEvents message in Kafka *binary* mode (CloudEvents 1.0, Kafka protocol binding, section 3.2):
the key is the `user_id`, the envelope is in headers, the value is the event's flat JSON.
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

Headers = Sequence[tuple[str, bytes | None]]

DEFAULT_SOURCE = "solve-counts"
TRACEPARENT = "traceparent"  # W3C Trace Context; says nothing of the event, and may be missing
CLOCK_TOLERANCE = timedelta(days=1)
EARLIEST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime.max.replace(tzinfo=UTC)
DETAIL_MAX_CHARS = 500
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
    """What is wrong with bytes that are no event: the reason in one word, and a sentence for a person."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class EncodedRecord:
    """What the Kafka client sends."""

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
        ("ce_time", event.happened_at.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()),
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
        return Rejected(Reason.TOMBSTONE, "the record has no value; events are never deleted, publish a revocation")
    if named is None:
        if b'"type"' in value and (mismatch := _type_inside(value)):
            return mismatch
        return _check_times(_validate(SubmissionSolved, value), broker_timestamp_ms)
    model = _MODELS_BY_HEADER.get(named)
    if model is None:
        said = named.decode("utf-8", "backslashreplace")
        return Rejected(Reason.UNKNOWN_TYPE, _clip(f"ce_type {said!r} is none of {', '.join(EVENT_MODELS)}"))
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
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Rejected(Reason.NOT_JSON, _clip(str(error)))
    if not isinstance(fields, dict):
        return Rejected(Reason.INVALID_EVENT, f"a line is one JSON object, this is {type(fields).__name__}")
    type_name = fields.get("type")
    model = EVENT_MODELS.get(type_name) if isinstance(type_name, str) else None
    if model is None:
        return Rejected(Reason.UNKNOWN_TYPE, _clip(f'"type" is {type_name!r}, not one of {", ".join(EVENT_MODELS)}'))
    return _check_times(_validate(model, line), int(now.timestamp() * 1000))


def _type_inside(value: bytes) -> Rejected | None:
    """A revocation sent without its header must not count as a solve."""
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        return None  # _validate says what is wrong with it
    named = fields.get("type") if isinstance(fields, dict) else None
    if isinstance(named, str) and named in EVENT_MODELS and named != SubmissionSolved.type_name:
        return Rejected(Reason.TYPE_MISMATCH, f"the value says {named} but there is no ce_type header; send one")
    return None


def _validate(model: type[Event], value: bytes) -> Event | Rejected:
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            return Rejected(Reason.NOT_JSON, _clip(problems[0]["msg"]))
        said = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" if p["loc"] else p["msg"] for p in problems)
        return Rejected(Reason.INVALID_EVENT, _clip(said))


def _check_times(event: Event | Rejected, broker_timestamp_ms: int) -> Event | Rejected:
    if isinstance(event, Rejected):
        return event
    latest = latest_time(broker_timestamp_ms)
    if not EARLIEST_TIME <= event.happened_at <= latest:
        name = "registered_at" if isinstance(event, UserRegistered) else "judged_at"
        return _out_of_range(name, event.happened_at, latest)
    submitted_at = event.submitted_at if isinstance(event, SubmissionSolved) else None
    if submitted_at is not None and not EARLIEST_TIME <= submitted_at <= latest:
        return _out_of_range("submitted_at", submitted_at, latest)
    return event


def _out_of_range(name: str, time: datetime, latest: datetime) -> Rejected:
    stamp = latest - CLOCK_TOLERANCE
    said = f"{name} {time.isoformat()} is not between 1970 and one day after the broker's {stamp.isoformat()}"
    return Rejected(Reason.TIME_OUT_OF_RANGE, said)


@lru_cache(maxsize=64)  # the records of one batch on the wire share their LogAppendTime
def latest_time(broker_timestamp_ms: int) -> datetime:
    """The latest time that an event of this record may name."""
    try:
        return EARLIEST_TIME + timedelta(milliseconds=broker_timestamp_ms) + CLOCK_TOLERANCE
    except OverflowError:
        return LATEST_TIME


def _clip(text: str) -> str:
    return text if len(text) <= DETAIL_MAX_CHARS else text[: DETAIL_MAX_CHARS - 1] + "…"


__all__ = [
    "TRACEPARENT",
    "EncodedRecord",
    "Headers",
    "Reason",
    "Rejected",
    "decode",
    "decode_line",
    "encode",
    "encode_line",
    "latest_time",
]
