"""Reads events out of HTTP messages (CloudEvents' HTTP binding 1.0.2 and JSON format) by the rules of the log itself.

Each event becomes the record that the producer's client would send, or the reason why it is none. The record's id is
made from its content, so that the same event has the same one on each road; the CloudEvent's own `id` is required, as
the specification does, and not kept.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic_core import from_json

from solve_gateway.outcomes import Refusal, bad_field, invalid
from solve_gateway.tokens import Token
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS, Event
from solve_schemas.foreign_formats import is_structured
from solve_schemas.record import EncodedRecord, decode, decode_line, encode
from solve_schemas.rejection import Reason, Rejected

EVENT_MAX_BYTES = 64 * 1024  # an event's fields have at most 200 characters each
ATTRIBUTE_PREFIX = "ce-"
REQUIRED = ("type", "specversion", "id", "source")
SPECVERSION = "1.0"
STRUCTURED_TYPE = "application/cloudevents+json"
UTF8_BOM = b"\xef\xbb\xbf"


class Mode(StrEnum):
    """The forms of a request with events."""

    BINARY = "binary"
    STRUCTURED = "structured"
    PLAIN = "plain"
    BATCH = "batch"
    LINES = "lines"


_MODES = {
    STRUCTURED_TYPE: Mode.STRUCTURED,
    "application/cloudevents-batch+json": Mode.BATCH,
    "application/x-ndjson": Mode.LINES,
    "application/ndjson": Mode.LINES,
    "application/jsonl": Mode.LINES,
    "application/json": Mode.PLAIN,
}
MEDIA_TYPES = tuple(_MODES)
_is_plain = re.compile(NO_CONTROL_CHARS).fullmatch
Headers = Iterable[tuple[bytes, bytes]]


def mode_of(content_type: str, headers: Headers) -> Mode | None:
    """The form of a request; None of one that is not known."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    mode = _MODES.get(media)
    charsets = [one.partition("=")[2].strip('"') for one in parameters if one.startswith("charset=")]
    if any(one not in {"utf-8", "utf8"} for one in charsets):
        return None
    if mode is Mode.PLAIN and any(name.startswith(b"ce-") for name, _ in headers):
        return Mode.BINARY
    return mode


class Reader:
    """Reads the events of one request of a token at one moment, for which `now` stands."""

    def __init__(self, token: Token, now: datetime) -> None:
        self._token = token
        self._now = now
        self._now_ms = int(now.timestamp() * 1000)
        self._own_source = token.sources[0] if token.sources else DEFAULT_SOURCE

    def line(self, text: bytes) -> EncodedRecord | Refusal:
        """An event with its type inside, or a CloudEvent that is recognised by its own fields.

        In an event file an event without a type is a solve. Here a type that was forgotten would be the wrong sign.
        """
        if len(text) > EVENT_MAX_BYTES:
            return too_large()
        fields = _parsed(text)
        if isinstance(fields, dict) and is_structured(fields, ()):
            return self._structured(text, fields)
        said = decode_line(text, self._now)
        is_foreign = isinstance(said, Rejected) and said.reason is Reason.FOREIGN_FORMAT  # which says more
        if isinstance(fields, dict) and fields.get("type") is None and not is_foreign:
            return bad_field("type", "is missing")
        return self._record(said, self._own_source)

    def structured(self, text: bytes) -> EncodedRecord | Refusal:
        """A CloudEvent with its envelope inside."""
        if len(text) > EVENT_MAX_BYTES:
            return too_large()
        fields = _parsed(text)
        if not isinstance(fields, dict):
            return Refusal(400, "not-json", "the CloudEvent is not one JSON object")
        return self._structured(text, fields)

    def binary(self, body: bytes, headers: Headers) -> EncodedRecord | Refusal:
        """A CloudEvent whose envelope is in headers."""
        if len(body) > EVENT_MAX_BYTES:
            return too_large()
        attributes = _attributes(headers)
        if isinstance(attributes, Refusal):
            return attributes
        source = self._source(attributes, ATTRIBUTE_PREFIX)
        if isinstance(source, Refusal):
            return source
        as_kafka = [(f"ce_{name}", content.encode()) for name, content in attributes.items()]
        return self._record(decode(body, as_kafka, self._now_ms), source)

    def _structured(self, text: bytes, fields: Mapping[str, Any]) -> EncodedRecord | Refusal:
        source = self._source(fields)
        if isinstance(source, Refusal):
            return source
        if "data" not in fields and "data_base64" not in fields:
            return bad_field("data", "is missing")
        return self._record(decode(text, [("content-type", STRUCTURED_TYPE.encode())], self._now_ms), source)

    def _source(self, attributes: Mapping[str, Any], prefix: str = "") -> str | Refusal:
        """The source that an envelope names, if the envelope is one and the token may use it."""
        for name in REQUIRED:
            if name not in attributes:
                return bad_field(f"{prefix}{name}", "is missing")
            if not isinstance(attributes[name], str) or not attributes[name]:
                return bad_field(f"{prefix}{name}", "must be text that is not empty")
        if attributes["specversion"] != SPECVERSION:
            return bad_field(f"{prefix}specversion", f"must be {SPECVERSION}")
        source: str = attributes["source"]
        if len(source) > TEXT_MAX_CHARS or not _is_plain(source):
            return bad_field(
                f"{prefix}source", f"must be text of 1 to {TEXT_MAX_CHARS} characters without control characters"
            )
        if not self._token.may_write_as(source):
            return Refusal(403, "source-not-allowed", f"`{prefix}source` is none of those that this token may write as")
        return source

    def _record(self, said: Event | Rejected, source: str) -> EncodedRecord | Refusal:
        return invalid(said) if isinstance(said, Rejected) else encode(said, source)


def too_large() -> Refusal:
    """Of an event that cannot be one."""
    return Refusal(413, "too-large", f"an event may have {EVENT_MAX_BYTES} bytes; shorten its fields")


def _attributes(headers: Headers) -> dict[str, str] | Refusal:
    """The attributes in headers: unquoted, then percent-decoded once, as the binding says."""
    found: dict[str, str] = {}
    for name, content in headers:
        text = name.decode("latin-1")
        if not text.startswith(ATTRIBUTE_PREFIX):
            continue
        attribute = text.removeprefix(ATTRIBUTE_PREFIX)
        if attribute in found:
            return bad_field(text, "is there twice")
        try:
            found[attribute] = unquote_to_bytes(_unquoted(content)).decode()
        except UnicodeDecodeError:
            return bad_field(text, "must be percent-encoded UTF-8")
    return found


def _unquoted(content: bytes) -> bytes:
    """Without the quotation marks of earlier versions, and their backslashes."""
    if len(content) < 2 or content[:1] != b'"' or content[-1:] != b'"':
        return content
    plain, escaped = bytearray(), False
    for byte in content[1:-1]:
        if byte == ord("\\") and not escaped:
            escaped = True
        else:
            plain.append(byte)
            escaped = False
    return bytes(plain)


def _parsed(text: bytes) -> object:
    try:
        return from_json(text)
    except ValueError:
        return None
