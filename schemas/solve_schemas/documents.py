"""JSON Schemas and an AsyncAPI 3 document, generated from the models for people of other languages."""

import json
from pathlib import Path
from typing import Any

from solve_schemas.events import EVENT_MODELS
from solve_schemas.record import TRACEPARENT
from solve_schemas.topic import PARTITIONS, TOPIC, TOPIC_SETTINGS

FOLDER = Path(__file__).parent / "generated"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXAMPLES: dict[str, dict[str, Any]] = {
    "user.registered.v1": {"user_id": "u-1", "username": "ada", "registered_at": "2026-01-02T03:04:05Z"},
    "submission.solved.v1": {
        "submission_id": "s-1",
        "user_id": "u-1",
        "problem_id": "two-sum",
        "judged_at": "2026-01-02T03:04:06.789Z",
        "submitted_at": "2026-01-02T03:04:05Z",
        "language": "cpp",
    },
    "submission.revoked.v1": {
        "submission_id": "s-1",
        "user_id": "u-1",
        "problem_id": "two-sum",
        "judged_at": "2026-01-03T00:00:00Z",
        "reason": "rejudged",
    },
    "user.removed.v1": {"user_id": "u-1", "removed_at": "2026-01-04T00:00:00Z", "reason": "asked to be", "erase": True},
    "problem.withdrawn.v1": {
        "problem_id": "two-sum",
        "withdrawn_at": "2026-01-05T00:00:00Z",
        "reason": "a wrong test case",
    },
    "problem.restored.v1": {"problem_id": "two-sum", "restored_at": "2026-01-06T00:00:00Z", "reason": "fixed"},
}


def documents() -> dict[str, str]:
    """The text of every file, by its name."""
    files = {f"{name}.json": _json(_event_schema(name)) for name in EVENT_MODELS}
    return files | {"asyncapi.json": _json(_asyncapi())}


def write() -> list[Path]:
    """Writes the files and returns their paths."""
    FOLDER.mkdir(exist_ok=True)
    files = {FOLDER / name: text for name, text in documents().items()}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


def drifted() -> list[str]:
    """Names of the files that differ from the models."""
    return [
        name
        for name, text in documents().items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]


def _event_schema(name: str) -> dict[str, Any]:
    schema = EVENT_MODELS[name].model_json_schema()
    return {"$schema": DIALECT, "$id": f"urn:solve-counts:{name}", **schema, "examples": [EXAMPLES[name]]}


def _asyncapi() -> dict[str, Any]:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in EVENT_MODELS}
    channel = "#/channels/judgeEvents"
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Judge events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in Kafka binary mode. A record without ce_type is a submission.solved.v1.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "judgeEvents": {
                "address": TOPIC,
                "description": "The log. Keyed by user_id, or problem_id of a fact about one; the key only places it.",
                "messages": messages,
                "bindings": {
                    "kafka": {
                        "topic": TOPIC,
                        "partitions": PARTITIONS,
                        "topicConfiguration": {
                            "cleanup.policy": [TOPIC_SETTINGS["cleanup.policy"]],
                            "retention.ms": int(TOPIC_SETTINGS["retention.ms"]),
                            "retention.bytes": int(TOPIC_SETTINGS["retention.bytes"]),
                        },
                        "bindingVersion": "0.5.0",
                    }
                },
            }
        },
        "operations": {
            "publishJudgeEvents": {
                "action": "send",
                "summary": "A judge publishes what it decided.",
                "channel": {"$ref": channel},
                "messages": [{"$ref": f"{channel}/messages/{name}"} for name in EVENT_MODELS],
            }
        },
        "components": {"messages": {name: _message(name) for name in EVENT_MODELS}, "schemas": {"headers": _headers()}},
    }


def _message(name: str) -> dict[str, Any]:
    model = EVENT_MODELS[name]
    return {
        "name": name,
        "title": model.__name__,
        "summary": (model.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": model.model_json_schema(),
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The event's {model.key_name}."},
                "bindingVersion": "0.5.0",
            }
        },
        "examples": [{"name": "example", "headers": {"ce_type": name}, "payload": EXAMPLES[name]}],
    }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": {"type": "string", "description": "The same for the same event, however often it is sent."},
            "ce_source": {
                "type": "string",
                "description": "Which judge or feed; kept beside a verdict, up to 200 characters.",
            },
            "ce_type": {"type": "string", "enum": list(EVENT_MODELS)},
            "ce_time": {"type": "string", "format": "date-time"},
            "content-type": {"type": "string", "const": "application/json"},
            TRACEPARENT: {
                "type": "string",
                "description": "W3C Trace Context of the span that published it; optional.",
            },
        },
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
