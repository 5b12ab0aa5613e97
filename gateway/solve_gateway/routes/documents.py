"""The part of the OpenAPI document that no signature says: bodies in several media types, and their answers."""

from typing import Any

from solve_gateway.messages import MEDIA_TYPES
from solve_schemas.documents import EXAMPLES
from solve_schemas.events import EVENT_MODELS

TYPE = "submission.solved.v1"
_PLAIN: dict[str, Any] = {"type": TYPE, **EXAMPLES[TYPE]}
_CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "s-1/1",
    "source": "/judges/main",
    "type": TYPE,
    "datacontenttype": "application/json",
    "data": EXAMPLES[TYPE],
}
_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An event with its `type` inside; docs/events.md and the JSON Schemas have the fields of each.",
    "required": ["type"],
    "properties": {"type": {"type": "string", "enum": list(EVENT_MODELS)}},
}
_CLOUD_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0 in JSON format.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "maxLength": 200},
        "type": {"type": "string", "enum": list(EVENT_MODELS)},
        "data": {"type": "object"},
    },
}
_TEXT = {"type": "string", "description": "NDJSON: one event a line, as in application/json."}


def _content(media: str) -> dict[str, Any]:
    if media == "application/cloudevents+json":
        return {"schema": _CLOUD_EVENT_SCHEMA, "example": _CLOUD_EVENT}
    if media == "application/cloudevents-batch+json":
        return {"schema": {"type": "array", "items": _CLOUD_EVENT_SCHEMA}, "example": [_CLOUD_EVENT]}
    return {"schema": _EVENT_SCHEMA, "example": _PLAIN} if media == "application/json" else {"schema": _TEXT}


EVENTS_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {media: _content(media) for media in MEDIA_TYPES}}
}
_PLACE = {
    "partition": {"type": ["integer", "null"], "description": "Null where the broker has it and does not say where."},
    "offset": {"type": ["integer", "null"]},
}
_ONE = {
    "type": "object",
    "required": ["topic", "partition", "offset"],
    "properties": {"topic": {"type": "string"}, **_PLACE},
}
_MANY = {
    "type": "object",
    "required": ["topic", "delivered", "failed", "results"],
    "properties": {
        "topic": {"type": "string"},
        "delivered": {"type": "integer"},
        "failed": {"type": "integer"},
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "status"],
                "properties": {
                    "index": {"type": "integer", "description": "Of the event in the request, from 0."},
                    "status": {
                        "type": "integer",
                        "description": "200, 400, 403, 413 or 503; send those with 503 again.",
                    },
                    **_PLACE,
                    "reason": {"type": "string"},
                    "detail": {"type": "string"},
                    "field": {"type": "string"},
                },
            },
        },
    },
}
EVENTS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The broker has all", "content": {"application/json": {"schema": {"oneOf": [_ONE, _MANY]}}}},
    207: {"description": "The broker has some", "content": {"application/json": {"schema": _MANY}}},
}
