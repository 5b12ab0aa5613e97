"""The events of one request: some are published at a time, in order, and none after one that Kafka did not take."""

from collections.abc import AsyncIterator, Sequence

import pytest

from solve_gateway.accepting import PUBLISHED_AT_ONCE, Accepting, Read
from solve_gateway.outcomes import Outcome, Refusal
from solve_gateway.publishing import UNCONFIRMED
from solve_gateway.telemetry import GatewayMetrics
from solve_producer.deliveries import Place
from solve_runtime.http.problem import Problem
from solve_schemas.record import EncodedRecord, encode
from tests.asking import by_labels, series_of
from tests.events import registered

BAD = Refusal(400, "invalid-event", "`user_id` is missing")


class Kafka:
    """Takes what it is given until it has had enough."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.given: list[str] = []
        self.at_once: list[int] = []

    async def publish(self, records: Sequence[EncodedRecord], token: str) -> list[Outcome]:
        self.at_once.append(len(records))
        self.given += [record.key.decode() for record in records]
        taken = min(self.takes, len(records))
        self.takes -= taken
        return [*(Place(0, at) for at in range(taken)), *[UNCONFIRMED] * (len(records) - taken)]


async def events(number: int) -> AsyncIterator[Read]:
    for one in range(number):
        yield BAD if one == 2 else encode(registered(f"u-{one}"))


async def test_nothing_overtakes_an_event_that_was_not_taken() -> None:
    kafka, metrics = Kafka(takes=PUBLISHED_AT_ONCE + 10), GatewayMetrics()
    accepting = Accepting(kafka, metrics, "judge", 10_000)
    number = 3 * PUBLISHED_AT_ONCE
    await accepting.take_all(events(number))
    assert kafka.at_once == [PUBLISHED_AT_ONCE, PUBLISHED_AT_ONCE]
    assert kafka.given == [f"u-{one}" for one in range(2 * PUBLISHED_AT_ONCE + 1) if one != 2]
    accepted = [index for index, one in enumerate(accepting.outcomes) if not isinstance(one, Refusal)]
    assert accepted == [one for one in range(PUBLISHED_AT_ONCE + 11) if one != 2]
    assert accepting.outcomes[2] == BAD
    assert set(accepting.outcomes[PUBLISHED_AT_ONCE + 11 :]) == {UNCONFIRMED}
    counted = by_labels(series_of(metrics.registry), "solve_gateway_events_total")
    assert counted == {("invalid-event", "judge"): 1, ("not-confirmed", "judge"): number - 2 * PUBLISHED_AT_ONCE - 1}


async def test_too_many_events_are_refused_once_those_before_are_published() -> None:
    kafka = Kafka(takes=10_000)
    accepting = Accepting(kafka, GatewayMetrics(), "judge", 7)
    with pytest.raises(Problem, match="7 events"):
        await accepting.take_all(events(8))
    assert len(kafka.given) == 6
    assert len(accepting.outcomes) == 7
