"""Recognises the formats in which other tools wrap an event: one of them is read, the others are named.

CloudEvents in structured mode are read. Confluent's wire format, Kafka Connect's envelope and Debezium's change events
are not: the sentence says what to configure instead.
"""

from collections.abc import Mapping
from typing import Any

from solve_schemas.rejection import Headers, Reason, Rejected

CONTENT_TYPES = {"content-type", "contenttype", "content_type"}
CLOUDEVENTS, BATCH = "application/cloudevents", "application/cloudevents-batch"
_MAGIC_AND_SCHEMA_ID_BYTES = 5


def is_structured(fields: Mapping[str, Any], headers: Headers) -> bool:
    """Whether the value is a CloudEvent with its envelope inside, by its content type or by its own fields."""
    content_type = _content_type(headers)
    declared = content_type.startswith(CLOUDEVENTS) and not content_type.startswith(BATCH)
    has_data = "data" in fields or "data_base64" in fields
    return has_data and (declared or "specversion" in fields)


def foreign_format(value: bytes, parsed: object, headers: Headers) -> Rejected | None:
    """What the value is, and what to configure so that it is an event; None where it may be one.

    `parsed` is the value's JSON, or None.
    """
    fields = parsed if isinstance(parsed, dict) else {}
    if value[:1] == b"\x00" and len(value) >= _MAGIC_AND_SCHEMA_ID_BYTES:
        schema_id = int.from_bytes(value[1:_MAGIC_AND_SCHEMA_ID_BYTES], "big")
        said = f"Confluent's wire format (schema id {schema_id}); configure a plain JSON serializer without a schema"
    elif parsed is None and any(name.lower() == "__value_schema_id" for name, _ in headers):
        said = "Confluent's wire format (schema id in a header); configure a plain JSON serializer without a schema"
    elif isinstance(parsed, list) and any(isinstance(one, dict) for one in parsed):
        said = "a list of events; publish each as a record of its own"
    elif _is_change(fields) or _is_change(fields.get("payload")):
        said = (
            "a Debezium change event of a row; write events to an outbox table and route them with Debezium's "
            "EventRouter, which puts the type into the header ce_type"
        )
    elif "payload" in fields and "schema" in fields and "submission_id" not in fields:
        said = "Kafka Connect's envelope; set value.converter.schemas.enable=false in the connector"
    else:
        return None
    return Rejected(Reason.FOREIGN_FORMAT, f"the value is {said}")


def _is_change(fields: Any) -> bool:
    if not isinstance(fields, Mapping) or "op" not in fields:
        return False
    return isinstance(fields.get("before"), Mapping) or isinstance(fields.get("after"), Mapping)


def _content_type(headers: Headers) -> str:
    for name, content in headers:
        if name.lower() in CONTENT_TYPES:
            return (content or b"").decode("ascii", "replace").strip().strip('"').lower()
    return ""
