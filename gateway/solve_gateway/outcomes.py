"""The outcome of an event: its place in the log, or why it is not there and whether to send it again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from solve_producer.deliveries import Place
from solve_schemas.rejection import Rejected

FIELD = re.compile(r"`([^`]+)`")
RETRY_S = 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not in the log, by a status of HTTP and a stable word. With 503 it may be after all."""

    status: int
    reason: str
    detail: str

    @property
    def field(self) -> str | None:
        """The field that it is about; details begin with it."""
        found = FIELD.match(self.detail)
        return found[1] if found else None

    def members(self) -> dict[str, Any]:
        """As JSON."""
        named = {"field": self.field} if self.field else {}
        return {"status": self.status, "reason": self.reason, "detail": self.detail} | named


Outcome = Place | None | Refusal  # None: the broker has it, and does not say where


def invalid(rejected: Rejected) -> Refusal:
    """Of an event that is none."""
    return Refusal(400, rejected.reason.value, rejected.detail)


def bad_field(name: str, what: str) -> Refusal:
    """Of an envelope whose attribute is wrong."""
    return Refusal(400, "invalid-event", f"`{name}` {what}")


def place_members(place: Place | None) -> dict[str, Any]:
    """As JSON."""
    partition, offset = place or (None, None)
    return {"partition": partition, "offset": offset}


def summary(topic: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Of a request with several events: counts, and each by its index."""
    results = [
        {"index": index} | (one.members() if isinstance(one, Refusal) else {"status": 200} | place_members(one))
        for index, one in enumerate(outcomes)
    ]
    failed = sum(isinstance(one, Refusal) for one in outcomes)
    return {"topic": topic, "delivered": len(outcomes) - failed, "failed": failed, "results": results}


def status_of(outcomes: Sequence[Outcome]) -> int:
    """Of the whole answer: 200 if all are delivered, 207 if some are; else the status of all, 503 before others."""
    refused = {one.status for one in outcomes if isinstance(one, Refusal)}
    if not refused:
        return 200
    if any(not isinstance(one, Refusal) for one in outcomes):
        return 207
    if 503 in refused:
        return 503
    return refused.pop() if len(refused) == 1 else 400
