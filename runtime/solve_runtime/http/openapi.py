"""The OpenAPI document of an application whose errors are all problem details."""

from collections.abc import Callable
from functools import cache
from typing import Any

from solve_runtime.http.problem import ProblemDetails

Document = dict[str, Any]


def with_problems(generate: Callable[[], Document], change: Callable[[str, Document], None]) -> Callable[[], Document]:
    """`generate`, with one schema of problem details in place of FastAPI's own for 422.

    `change` gets each operation and its method, in lower case, to complete its responses.
    """

    @cache
    def openapi() -> Document:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for methods in document["paths"].values():
            for method, operation in methods.items():
                change(method, operation)
        return document

    return openapi
