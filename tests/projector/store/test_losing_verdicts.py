"""Verdicts that came later in the log and lose by their time are counted and shown; redeliveries are not."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import timedelta

import pytest

from solve_projector.domain.rule import losing_verdicts, verdict_of
from solve_projector.live.process import open_projector, run_projector
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved
from tests.events import BEGIN, registered
from tests.projector.store.test_counts import Log, log
from tests.world import World

__all__ = ["log"]
Verdict = SubmissionSolved | SubmissionRevoked


def solved(second: int, submission_id: str = "s") -> SubmissionSolved:
    return SubmissionSolved(
        submission_id=submission_id, user_id="u", problem_id="p", judged_at=BEGIN + timedelta(seconds=second)
    )


def revoked(second: int, submission_id: str = "s") -> SubmissionRevoked:
    return SubmissionRevoked(
        submission_id=submission_id, user_id="u", problem_id="p", judged_at=BEGIN + timedelta(seconds=second)
    )


# In the order of the log: the verdicts, and the offsets of those that lose (offset 0 registers the user).
CASES: dict[str, tuple[Sequence[Verdict], list[int]]] = {
    "a revocation by a slow clock": ([solved(5), revoked(3)], [2]),
    "a rejudge by a slow clock": ([revoked(5), solved(3)], [2]),
    "another solve by a slow clock": ([solved(5), solved(3)], [2]),
    "one of two submissions": ([solved(5), solved(1, "t"), revoked(3), revoked(4, "t")], [3]),
    "the losing verdict, delivered twice": ([solved(5), revoked(3), revoked(3)], [2]),
    "two losing verdicts": ([solved(5), revoked(3), revoked(4)], [2, 3]),
    "the right order": ([solved(1), revoked(2), solved(3)], []),
    "the standing verdict again": ([solved(1), solved(1)], []),
    "a replaced verdict again": ([solved(1), revoked(2), solved(1)], []),
    "replaced twice, and again": ([solved(1), revoked(2), solved(3), solved(1), revoked(2)], []),
    "the whole history again": ([solved(1), revoked(2), solved(3)] * 2, []),
    "of one time": ([revoked(1), solved(1)], []),
}


async def projected(world: World, batches: Sequence[Sequence[Event]]) -> float:
    """The counter, after each batch was published and projected by itself."""
    total = 0.0
    for batch in batches:
        await world.publish(batch, partition=0)
        async with open_projector(world.connection, world.settings) as projector:
            await run_projector(projector, asyncio.Event(), once=True)
            registry = projector.monitor.metrics.registry
            total += registry.get_sample_value("solve_projector_losing_verdicts_total") or 0
    return total


@pytest.mark.parametrize("case", ["two losing verdicts", "replaced twice, and again"])
async def test_projectors_count_what_loses_and_no_redelivery(world: World, case: str) -> None:
    events, losing = CASES[case]
    assert await projected(world, [[registered("u"), events[0]], events[1:]]) == len(losing)
    assert await world.differences() == []


@pytest.mark.parametrize("alone", [True, False], ids=["each in a batch", "all in one batch"])
@pytest.mark.parametrize("case", CASES)
async def test_tables_and_log_tell_losing_verdicts_from_redeliveries(log: Log, case: str, *, alone: bool) -> None:
    events, losing = CASES[case]
    await log.apply([registered("u")])
    for batch in [[event] for event in events] if alone else [list(events)]:
        await log.apply(batch)
    rows = await log.pool.fetch("SELECT source_offset FROM superseded_verdicts WHERE losing ORDER BY 1")
    assert [row[0] for row in rows] == losing


async def test_a_parked_verdict_is_compared_once_its_user_exists(log: Log) -> None:
    await log.apply([solved(5)])
    await log.apply([registered("u"), revoked(3)])
    assert await log.pool.fetchval("SELECT source_offset FROM superseded_verdicts WHERE losing") == 2


@pytest.mark.parametrize("case", CASES)
def test_the_log_in_order_tells_losing_verdicts_from_redeliveries(case: str) -> None:
    events, losing = CASES[case]
    verdicts = [verdict_of(event, 0, offset) for offset, event in enumerate(events, 1)]
    assert [lost.offset for lost, _ in losing_verdicts(reversed(verdicts))] == losing


def test_between_partitions_nothing_is_later() -> None:
    assert losing_verdicts([verdict_of(solved(5), 0, 0), verdict_of(revoked(3), 1, 9)]) == []


async def test_user_and_replay_show_it_with_both_places_and_times(world: World) -> None:
    await world.publish([registered("u"), solved(5), revoked(3)], partition=0, source="https://judge.example")
    await world.run_once()
    for words in (("user", "u"), ("replay", "--user", "u")):
        async with world.process(*words, COLUMNS="160") as process:
            out, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0, log
        assert "submission s of p: revoked at 0:2, judged 2026-01-01T00:00:03+00:00, loses to" in out.decode()
        assert "0:1, judged 2026-01-01T00:00:05+00:00" in out.decode()
        assert re.search(r"0:1 +https://judge\.example", out.decode()), "the source beside the place of what stands"
        async with world.process(*words, "--json") as process:
            out, _ = await process.output  # type: ignore[attr-defined]
        (lost,) = json.loads(out)["losing_verdicts"]
        assert (lost["solved"], lost["source_offset"], lost["standing_offset"]) == (False, 2, 1)
