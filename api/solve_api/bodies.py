"""The bases of the JSON bodies: those that the API sends, and those that it reads."""

from pydantic import BaseModel, ConfigDict

EXAMPLE_TIME = "2026-11-24T09:09:50Z"


class Body(BaseModel):
    """What the API answers; each field has an example."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """What a client sends; an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")
