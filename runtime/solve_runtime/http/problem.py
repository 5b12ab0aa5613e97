"""Problem details (RFC 9457), for programs and for people. No web framework is needed here."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
RETRY_LATER = {"Retry-After": str(RETRY_AFTER_S)}


class ProblemDetails(BaseModel):
    """What went wrong, for programs and for people (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:solve-counts:problem:user-unknown"], description="The kind of problem; stable.")
    title: str = Field(examples=["User not found"], description="The kind of problem, in words.")
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no user u-9."], description="What happened this time, and what to do.")


class Problem(Exception):
    """An error answer. `names` are those that the detail quotes; `more` holds additional members, such as `errors`."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        names: tuple[str, ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.names = names
        self.more = more

    @property
    def body(self) -> ProblemDetails:
        """The JSON body."""
        kind = f"urn:solve-counts:problem:{self.kind}"
        return ProblemDetails(type=kind, title=self.title, status=self.status, detail=self.detail, **self.more)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses` in OpenAPI: its errors, plus 400 and 431, which precede any request."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in sorted({400, 431, *statuses})
    }


def sentence(text: str) -> str:
    """The text with a capital letter at the start and a full stop at the end."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
