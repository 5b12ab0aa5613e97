"""Kafka's open transactions: what they hide is lag, with the words since when and whose it is, until they end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time

import pytest
from aiokafka.errors import KafkaError
from structlog.testing import capture_logs

from solve_projector.lag.report import as_dict, sentences
from solve_projector.lag.snapshot import Observer, Snapshot, Stage, open_observer
from solve_projector.lag.status import Status
from solve_projector.lag.windows import CommitWindows
from solve_projector.live.process import open_projector, run_projector
from solve_projector.log.inspection import open_inspector
from solve_projector.replay.replaying import ReplayOptions, replay
from tests.events import registered, solved
from tests.projector.cli.test_lag import lag
from tests.projector.lag.test_exporter import exporting, until_scraped, value
from tests.waiting import until
from tests.world import World

HOUR_S = 3600


@pytest.fixture
async def applied(world: World) -> World:
    """Partition 0 has two events, and PostgreSQL has both."""
    await world.publish([registered("u"), solved("1", "u", "p", 1)], partition=0)
    await world.run_once()
    return world


@asynccontextmanager
async def observing(world: World) -> AsyncIterator[Observer]:
    async with open_observer(world.connection, world.settings) as observer:
        yield observer


def lags(snapshot: Snapshot) -> dict[Stage, int]:
    return {stage: lag.lag for stage, lag in snapshot.partitions[0].stages.items()}


async def test_what_an_open_transaction_hides_is_lag_until_it_is_committed_and_applied(applied: World) -> None:
    async with observing(applied) as observer:
        async with applied.open_transaction(solved("2", "u", "q", 2)):
            await applied.publish([solved("3", "u", "r", 3)], partition=0)  # no transaction of its own, hidden as well
            snapshot = await observer.snapshot()
            assert lags(snapshot) == dict.fromkeys(Stage, 2)
            assert all(one.stages[Stage.POSTGRESQL].lag == 0 for one in snapshot.partitions[1:])
            assert snapshot.partitions[0].end == 4
            assert 0 < snapshot.partitions[0].stages[Stage.POSTGRESQL].seconds < time()
            transaction = snapshot.partitions[0].transaction
            assert transaction
            assert (transaction.offset, transaction.transactional_id) == (2, applied.connection.topic)
            assert transaction.producer_id is not None
        applied.published.append(solved("2", "u", "q", 2))
        await applied.run_once()
        snapshot = await observer.snapshot()
    assert snapshot.partitions[0].transaction is None
    assert lags(snapshot) == dict.fromkeys(Stage, 0)
    assert await applied.differences() == []


async def test_a_transaction_is_an_alarm_once_it_is_older_than_the_window(applied: World) -> None:
    async with observing(applied) as observer, applied.open_transaction(solved("2", "u", "q", 2)):
        snapshot = await observer.snapshot()
        short = CommitWindows(5, HOUR_S).add(snapshot)[0]
        long = CommitWindows(5, 0).add(snapshot)[0]
        others = CommitWindows(5, 0).add(snapshot)[1]
    assert (short.status, long.status, others.status) == (Status.OK, Status.WARN, Status.OK)
    assert short.why == long.why
    assert short.why.startswith("an open transaction holds partition 0 since 20")
    assert f"transactional id {applied.connection.topic}, producer id " in short.why
    assert sentences(snapshot, {0: short}) == [short.why]
    assert sentences(snapshot, {0: long}) == [f"partition 0 WARN: {long.why}"]
    said = json.loads(json.dumps(as_dict(snapshot, {0: short})))["partitions"][0]
    assert (said["log_end_offset"], said["last_stable_offset"], said["lag"]) == (3, 2, 1)
    assert said["open_transaction"]["offset"] == 2


async def test_what_nobody_reads_stays_stopped_beside_a_transaction_and_both_are_said(applied: World) -> None:
    await applied.publish([solved("2", "u", "q", 2)], partition=0)
    async with observing(applied) as observer, applied.open_transaction(solved("3", "u", "r", 3)):
        windows = CommitWindows(5, HOUR_S)

        async def stopped() -> str:
            found = windows.add(await observer.snapshot())[0]
            return found.why if found.status is Status.STOP else ""

        why = await until(stopped, "the partition to stop")
    assert "1 event waits, and no projector has committed" in why
    assert "an open transaction holds partition 0 since" in why


@pytest.mark.parametrize("commit", [True, False], ids=["committed and empty", "aborted"])
async def test_a_tail_of_markers_and_aborted_records_is_no_lag(applied: World, commit: bool) -> None:
    events = [] if commit else [solved("2", "u", "q", 2)]
    async with applied.open_transaction(*events, commit=commit):
        pass
    async with observing(applied) as observer:
        assert lags(await observer.snapshot()) == dict.fromkeys(Stage, 0)
        await applied.run_once()
        snapshot = await observer.snapshot()
    one = snapshot.partitions[0]
    assert (one.transaction, lags(snapshot)) == (None, dict.fromkeys(Stage, 0))
    assert one.stages[Stage.POSTGRESQL].offset == one.end


async def test_records_of_a_busy_producer_without_transactions_are_never_taken_for_one(applied: World) -> None:
    async with open_inspector(applied.connection) as inspector, applied.raw_producer() as producer:
        for _ in range(30):
            sending = await producer.send(applied.connection.topic, b"{}", partition=0)
            assert (await inspector.state()).held() == {}
            await sending


async def test_a_broker_that_does_not_name_the_transaction_does_not_hide_it(
    applied: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise KafkaError("not authorized")

    monkeypatch.setattr("solve_projector.log.open_transactions._producer_of", refused)
    async with observing(applied) as observer, applied.open_transaction(solved("2", "u", "q", 2)):
        snapshot = await observer.snapshot()
    assert (snapshot.problems, lags(snapshot)) == ({}, dict.fromkeys(Stage, 1))
    transaction = snapshot.partitions[0].transaction
    assert transaction
    assert "whose it is, no broker says" in transaction.said


async def test_the_command_says_it_and_fails_over_its_limits(applied: World) -> None:
    async with applied.open_transaction(solved("2", "u", "q", 2)):
        code, out, _ = await lag(applied)
        assert code == 0
        assert "WARN: an open transaction holds partition 0 since" in out
        assert [(await lag(applied, "--fail-over", limit))[0] for limit in ("0", "0s", "1", "1h")] == [3, 3, 0, 0]
        said = json.loads((await lag(applied, "--json"))[1])
        assert (said["status"], said["lag"], said["partitions"][0]["open_transaction"]["offset"]) == ("WARN", 1, 2)


async def test_the_exporter_gives_the_age_of_what_holds_each_partition(applied: World) -> None:
    async with exporting(applied) as port:
        of = {"topic": applied.connection.topic, "partition": "0"}
        await until_scraped(port, "solve_open_transaction_seconds", 0, **of)
        async with applied.open_transaction(solved("2", "u", "q", 2)):
            scrape = await until_scraped(port, "kafka_consumergroup_lag_sum", 1)
            assert value(scrape, "kafka_topic_partition_current_offset", **of) == 3
            assert (value(scrape, "solve_open_transaction_seconds", **of) or 0) > 0
            assert (value(scrape, "kafka_consumergroup_group_lag_seconds", partition="0") or 0) > 0
            assert value(scrape, "solve_open_transaction_seconds", **of | {"partition": "1"}) == 0


async def test_a_projector_has_it_among_its_metrics_and_in_its_log(applied: World) -> None:
    name = "solve_projector_open_transaction_seconds"
    settings = applied.settings.model_copy(update={"log_check_interval_s": 0.1, "stall_after_s": 0.1})
    stopping = asyncio.Event()
    async with open_projector(applied.connection, settings) as projector:
        registry = projector.monitor.metrics.registry
        with capture_logs() as logs:
            running = asyncio.create_task(run_projector(projector, stopping))
            async with applied.open_transaction(solved("2", "u", "q", 2)):
                await until(lambda: any(one["action"] == "open_transaction" for one in logs), "the log to say it")
                assert registry.get_sample_value(name)
            await until(lambda: registry.get_sample_value(name) == 0, "it to be over")
        stopping.set()
        await running
    assert sum(one["action"] == "open_transaction" for one in logs) == 1


async def test_run_once_does_not_wait_for_an_open_transaction_and_says_what_it_left(applied: World) -> None:
    async with applied.open_transaction(solved("2", "u", "q", 2)):
        async with applied.process("run", "--once") as process:
            out, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0
        assert b"an open transaction holds partition 0 since" in out
        assert b"PostgreSQL and Redis have everything before them" in out
        assert b'"open_transaction"' in log
    async with applied.process("run", "--once") as process:
        out, _ = await process.output  # type: ignore[attr-defined]
    assert b"PostgreSQL and Redis have everything\n" in out


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_replay_says_that_an_open_transaction_hides_records(applied: World, dry_run: bool) -> None:
    options = ReplayOptions(dry_run=dry_run)
    async with applied.open_transaction(solved("2", "u", "q", 2)):
        report = await replay(applied.connection, applied.settings, options, lambda *_: None)
        async with applied.process("replay", "--user", "u") as process:
            _, log = await process.output  # type: ignore[attr-defined]
    (sentence,) = report.open_transactions
    assert sentence.startswith("an open transaction holds partition 0 since")
    assert not report.drifted
    assert b"an open transaction holds partition 0 since" in log
    assert report.as_dict()["open_transactions"] == [sentence]
