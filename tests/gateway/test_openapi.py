"""The OpenAPI document: what it shows works, and what is answered stands in it."""

import json
from typing import Any

import httpx
import pytest

from tests.api.served import problem_of
from tests.gateway.serving import JSON, Served
from tests.gateway.test_events import TYPED

ROUTES = {
    ("/v1/events", "post"),
    ("/v1/callbacks/judge0/{signed}", "put"),
    ("/v1/callbacks/clics", "post"),
    ("/livez", "get"),
    ("/readyz", "get"),
}


async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/v1/openapi.json")).json()
    return found


async def test_every_route_is_there_with_its_errors(judge: httpx.AsyncClient) -> None:
    found = await document(judge)
    assert {(path, method) for path, methods in found["paths"].items() for method in methods} == ROUTES
    publish = found["paths"]["/v1/events"]["post"]
    assert publish["responses"].keys() == {
        *("200", "207", "400", "401", "403", "408", "413", "415", "429", "431", "503")
    }  # fmt: skip
    assert publish["security"] == [{"HTTPBearer": []}]
    assert "ProblemDetails" in found["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(found)


async def test_its_examples_are_taken(judge: httpx.AsyncClient) -> None:
    content = (await document(judge))["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    shown = {media: one["example"] for media, one in content.items() if "example" in one}
    assert len(shown) == 3
    for media, example in shown.items():
        answer = await judge.post("/v1/events", json=example, headers={"Content-Type": media})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/events", 405, "method-not-allowed"),
        ("POST", "/v1/events/", 404, "not-found"),
        ("POST", "/v1/callbacks/judge0/x", 405, "method-not-allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem(
    judge: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await judge.request(method, path)
    problem_of(answer, status, kind)
    assert (status == 405) == ("allow" in answer.headers)


async def test_every_answer_has_its_request_id_and_is_never_cached(judge: httpx.AsyncClient, served: Served) -> None:
    answer = await judge.post("/v1/events", content=TYPED, headers=JSON | {"X-Request-ID": "mine-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine-1")
    answer = await judge.get("/nothing", headers={"X-Request-ID": "not an id"})
    assert answer.headers["x-request-id"] != "not an id"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
