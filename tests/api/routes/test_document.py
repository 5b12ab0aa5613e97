"""The OpenAPI document: every call is described, and every body has a complete example."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from solve_api.app import create_app
from solve_api.settings import ApiSettings
from solve_runtime.kafka_settings import KafkaConnection

JSON, STREAM, PROBLEM = "application/json", "text/event-stream", "application/problem+json"


@pytest.fixture
def document() -> dict[str, Any]:
    """As `/api/openapi.json` gives it."""
    nowhere = ApiSettings(database_url=SecretStr("postgresql://ada@localhost/counts"))
    return create_app(KafkaConnection(), nowhere).openapi()


def bodies(document: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Everything that is sent or answered: where, its media type, and what the document says of it."""
    found = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = {str(status): answer for status, answer in operation["responses"].items()}
            for name, body in {**answers, "request": operation.get("requestBody", {})}.items():
                for kind, media in body.get("content", {}).items():
                    found[f"{method} {path} {name} {kind}"] = (kind, media)
    return found


def shown(schema: dict[str, Any], document: dict[str, Any], where: str) -> Any:
    """The whole of it, made of the examples of its leaves; fails where a leaf has none and its type says too little."""
    if "$ref" in schema:
        return shown(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, where)
    made: Any = None
    if "properties" in schema:
        # each of them, also where the whole has an example: a reader looks at one field at a time
        made = {name: shown(field, document, f"{where} {name}") for name, field in schema["properties"].items()}
    for name in ("examples", "enum"):
        if name in schema:
            return schema[name][0]
    if made is not None:
        return made
    if "const" in schema or schema.get("type") in {"null", "boolean"}:
        return schema.get("const", False if schema.get("type") == "boolean" else None)
    if "anyOf" in schema:
        return shown(schema["anyOf"][0], document, where)
    if schema.get("type") == "array":
        return [shown(schema["items"], document, where)]
    raise AssertionError(f"no example: {where}")


def test_every_call_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
    for where, (kind, _) in bodies(document).items():
        status = where.split()[2]
        assert (kind == PROBLEM) == (status >= "400" and status != "request"), where


def test_every_body_can_be_shown_whole_and_is_what_its_schema_says(document: dict[str, Any]) -> None:
    for where, (kind, media) in bodies(document).items():
        if kind == STREAM:
            continue
        made = [shown(media["schema"], document, where), *([media["example"]] if "example" in media else [])]
        validator = Draft202012Validator({**media["schema"], "components": document["components"]})
        for one in made:
            assert [error.message for error in validator.iter_errors(one)] == [], where


def test_every_stream_shows_its_events(document: dict[str, Any]) -> None:
    streams = {where: media for where, (kind, media) in bodies(document).items() if kind == STREAM}
    assert len(streams) == 2
    for where, media in streams.items():
        for block in media["example"].strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            assert fields["event"], where
            assert isinstance(json.loads(fields["data"]), dict), where


def test_the_events_of_a_job_are_jobs(document: dict[str, Any]) -> None:
    _, media = bodies(document)[f"get /api/admin/jobs/{{job_id}}/events 200 {STREAM}"]
    events = [block.split("event: ")[1].split("\ndata: ") for block in media["example"].strip().split("\n\n")]
    said = [(name, json.loads(data)) for name, data in events]
    assert [(name, job["state"]) for name, job in said] == [("progress", "running"), ("end", "done")]
    components = document["components"]
    validator = Draft202012Validator({"$ref": "#/components/schemas/Job", "components": components})
    assert [error.message for _, job in said for error in validator.iter_errors(job)] == []


def test_a_body_can_be_too_large_wherever_one_is_read(document: dict[str, Any]) -> None:
    """Also where none is asked for: what is sent is limited before anybody looks at it."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert ("413" in map(str, operation["responses"])) == (method != "get"), (method, path)
