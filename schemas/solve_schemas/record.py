"""Encodes and decodes Kafka records and lines of event files, both in one dialect.

A record is a CloudEvents message in Kafka *binary* mode (CloudEvents 1.0, Kafka protocol binding, section 3.2):
the key is the `user_id`, or the `problem_id` of a fact about a problem; the envelope is in headers, the value is the
event's flat JSON. A line of a file is that JSON with its type inside. Without any type both are a solve; a type that
nobody knows makes neither of them one.
"""

import json
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from solve_schemas.event_source import DEFAULT_SOURCE, SOURCE_HEADER, kept_source
from solve_schemas.events import Event, SubmissionSolved
from solve_schemas.foreign_formats import foreign_format, is_structured
from solve_schemas.messages import message_of
from solve_schemas.record_type import (
    NO_HEADER,
    TYPE_HEADER,
    model_inside,
    model_of,
    named_headers,
    pairs_of,
    unknown_type,
)
from solve_schemas.rejection import Headers, Reason, Rejected, clip, set_aside

TRACEPARENT = "traceparent"  # W3C Trace Context; says nothing of the event, and may be missing
CLOCK_TOLERANCE = timedelta(days=1)
EARLIEST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime.max.replace(tzinfo=UTC)


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
    return record_of(event.type_name.encode(), event.key, value, event.happened_at, source, traceparent)


def record_of(
    type_name: bytes, key: str, value: bytes, happened_at: datetime, source: str, traceparent: str | None = None
) -> EncodedRecord:
    """The record of an event whose JSON is there already, as `encode` writes it."""
    identity = blake2b(type_name + b"\n" + value, digest_size=16).hexdigest()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity.encode()),
        (SOURCE_HEADER, source.encode()),
        ("ce_type", type_name),
        ("ce_time", _plain(happened_at.astimezone(UTC)).encode()),
        ("content-type", b"application/json"),
    ]
    if traceparent is not None:
        headers.append((TRACEPARENT, traceparent.encode()))
    return EncodedRecord(key.encode(), value, headers)


def decode(value: bytes | None, headers: Headers, broker_timestamp_ms: int) -> Event | Rejected:
    """The event of a record, or why there is none. Never raises, whatever the bytes.

    `broker_timestamp_ms` is the record's own LogAppendTime: times later than a day after it are refused, and
    comparing with the record instead of with the clock keeps a replay's answer the same.
    """
    if unread := set_aside(headers):
        return unread
    if value is None:
        return Rejected(Reason.TOMBSTONE, "the record has no value; to take a solve back, publish a revocation")
    parsed = _parsed(value)
    fields = parsed if isinstance(parsed, dict) else {}
    if is_structured(fields, headers):
        return _structured(value, fields, headers, broker_timestamp_ms)
    model = foreign_format(value, parsed, headers) or model_of(fields, pairs_of(value, fields), headers)
    return model if isinstance(model, Rejected) else _validate(model, value, broker_timestamp_ms)


def source_of(value: bytes | None, headers: Headers) -> str:
    """The source of a record that is an event, as it is kept: of its envelope, wherever that is."""
    # a structured event has `data`, however its letters are written
    parsed = _parsed(value) if value and (b"data" in value or b"\\u" in value) else None
    if isinstance(parsed, dict) and is_structured(parsed, headers) and isinstance(parsed.get("source"), str):
        return kept_source(parsed["source"].encode("utf-8", "surrogatepass"))
    index = named_headers(headers).source
    return "" if index == NO_HEADER else kept_source(headers[index][1])


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
    parsed, timestamp_ms = _parsed(line), int(now.timestamp() * 1000)
    fields = parsed if isinstance(parsed, dict) else {}
    if is_structured(fields, ()):
        return _structured(line, fields, (), timestamp_ms)
    model = foreign_format(line, parsed, ()) or model_inside(fields, pairs_of(line, fields))
    return model if isinstance(model, Rejected) else _validate(model, line, timestamp_ms)


def _parsed(value: bytes) -> object:
    """The JSON value, by the parser of the models; None where it is none, and validation says why."""
    try:
        return from_json(value)
    except ValueError:
        return None


def _structured(text: bytes, envelope: dict[str, Any], headers: Headers, broker_timestamp_ms: int) -> Event | Rejected:
    """The event of a CloudEvent in structured mode (CloudEvents 1.0, JSON format): the type and the data inside."""
    data, named = _data(envelope), envelope.get("type")
    if not isinstance(named, str):
        return unknown_type("the CloudEvent's `type`", named)
    if not isinstance(data, dict):
        return Rejected(Reason.INVALID_EVENT, "the CloudEvent's `data` must be one JSON object")
    value = json.dumps(data).encode()
    pairs = [*pairs_of(text, envelope), *pairs_of(_decoded(envelope), data)]
    model = model_of(data, pairs, [*headers, (TYPE_HEADER, named.encode("utf-8", "backslashreplace"))])
    return model if isinstance(model, Rejected) else _validate(model, value, broker_timestamp_ms)


def _data(envelope: dict[str, Any]) -> object:
    return _parsed(_decoded(envelope)) if "data_base64" in envelope else envelope.get("data")


def _decoded(envelope: dict[str, Any]) -> bytes:
    """The text of data in base64; empty where there is none."""
    try:
        return b64decode(envelope.get("data_base64", ""), validate=True)
    except (ValueError, TypeError):
        return b""


def _validate(model: type[Event], value: bytes, broker_timestamp_ms: int) -> Event | Rejected:
    try:
        event = model.model_validate_json(value)
    except ValidationError as error:
        not_json = any(problem["type"] == "json_invalid" for problem in error.errors(include_url=False))
        return Rejected(Reason.NOT_JSON if not_json else Reason.INVALID_EVENT, clip(message_of(error)))
    refused = out_of_range(event, broker_timestamp_ms)
    return Rejected(Reason.TIME_OUT_OF_RANGE, refused) if refused else event


def out_of_range(event: Event, broker_timestamp_ms: int) -> str | None:
    """Which time of an event cannot be of a record with this timestamp, in a sentence; None where all can."""
    times: dict[str, datetime | None] = {event.time_name: event.happened_at}
    if isinstance(event, SubmissionSolved):
        times["submitted_at"] = event.submitted_at
    return time_out_of_range(times, broker_timestamp_ms)


def time_out_of_range(times: dict[str, datetime | None], broker_timestamp_ms: int) -> str | None:
    """The first of these times, by name, that no event of a record with this timestamp can have, in a sentence."""
    latest = latest_time(broker_timestamp_ms)
    for name, time in times.items():
        if time is not None and not EARLIEST_TIME <= time <= latest:
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
