"""The place in the log of an event that was published before a page of decisions was asked for."""

from typing import Annotated

from pydantic import BaseModel, Field

from solve_api.http.parameters import LIMITS
from solve_producer.deliveries import Place
from solve_projector.store.dead_letters import GREATEST_ID

FieldText = Annotated[str, Field(**LIMITS)]


class PublishedPlace(BaseModel):
    """The place of an event that was published before the page was asked for, if that is known."""

    partition: int | None = Field(None, ge=0, le=2**31 - 1)
    offset: int | None = Field(None, ge=0, le=GREATEST_ID)

    @property
    def place(self) -> Place | None:
        """The place, if it is whole."""
        return None if self.partition is None or self.offset is None else Place(self.partition, self.offset)
