"""The base of every JSON body that the API sends: frozen, and each field documented with an example."""

from pydantic import BaseModel, ConfigDict

EXAMPLE_TIME = "2026-11-24T09:09:50Z"


class Body(BaseModel):
    """What the API answers."""

    model_config = ConfigDict(frozen=True)
