"""The published documents, beside the models that they come from."""

import json
from typing import Any

import jsonschema
import pytest

from solve_schemas.documents import EXAMPLES, documents, drifted
from solve_schemas.events import EVENT_MODELS
from solve_schemas.record import decode
from solve_schemas.rejection import Rejected


def test_the_committed_documents_are_those_of_the_models() -> None:
    assert drifted() == []


@pytest.mark.parametrize("name", EVENT_MODELS)
def test_an_example_is_an_event_and_fits_its_schema(name: str) -> None:
    value = json.dumps(EXAMPLES[name]).encode()
    assert not isinstance(decode(value, [("ce_type", name.encode())], 1_900_000_000_000), Rejected)
    jsonschema.validate(EXAMPLES[name], json.loads(documents()[f"{name}.json"]))


@pytest.mark.parametrize("name", EVENT_MODELS)
@pytest.mark.parametrize("wrong", ["", 7, "a\u0000b", "x" * 201])
def test_a_schema_refuses_what_the_model_refuses(name: str, wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            EXAMPLES[name] | {EVENT_MODELS[name].key_name: wrong}, json.loads(documents()[f"{name}.json"])
        )


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = json.loads(documents()["asyncapi.json"])
    assert document["asyncapi"] == "3.0.0"

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = references(document)
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
