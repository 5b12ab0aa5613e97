"""Scrapes of the exporter, once as a process of its own, read by Prometheus' own parser."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from devstack import Stack
from devstack.ports import free_port
from solve_producer.demo.simulation import Season, simulate
from solve_projector.lag.exporter import LagCollector, serve
from solve_projector.lag.snapshot import Snapshot, open_observer
from solve_projector.lag.status import Status
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_runtime.tasks import cancel_and_wait
from tests.events import BEGIN, solved
from tests.projector.log.test_inspection import create_topic, delete_topic, set_topic
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=50, problems=30, events=600, unknown_users=0.05, seed=4)
Scrape = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@asynccontextmanager
async def exporting(world: World) -> AsyncIterator[int]:
    """The port of an exporter in this process, which starts sooner than one of its own."""
    port = free_port()
    async with open_observer(world.connection, world.settings, with_backlog=True) as observer:
        serving = asyncio.create_task(
            serve(observer, LagCollector("default"), "127.0.0.1", port, snapshots=10, interval_s=0.2)
        )
        try:
            await until(lambda: serving.done() or _answers(port), "the exporter to answer")
            yield port
        finally:
            await cancel_and_wait([serving])


@asynccontextmanager
async def exporter_process(world: World) -> AsyncIterator[int]:
    """The port of the command's process, which ends on SIGTERM with nothing to complain of."""
    port = free_port()
    async with world.process("lag", "--serve", "--port", str(port), "--interval", "0.2") as process:
        await until(lambda: _answers(port), "the exporter to answer")
        yield port
        process.terminate()
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0, log
    assert b"Traceback" not in log


async def _answers(port: int) -> bool:
    try:
        return bool(await scraped(port))
    except URLError:
        return False


async def scraped(port: int) -> Scrape:
    def get() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    families = text_string_to_metric_families(await asyncio.to_thread(get))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(scrape: Scrape, name: str, **labels: str) -> float | None:
    """The one sample of this name with at least these labels; None where there is none."""
    found = [number for (one, of), number in scrape.items() if one == name and labels.items() <= dict(of).items()]
    assert len(found) < 2, f"{name} {labels} is not one sample"
    return found[0] if found else None


async def until_scraped(port: int, name: str, wanted: float | None, **labels: str) -> Scrape:
    last: Scrape = {}

    async def seen() -> bool:
        nonlocal last
        last = await scraped(port)
        return value(last, name, **labels) == wanted

    await until(seen, f"{name} {labels} to be {wanted}")
    return last


async def test_a_scrape_says_what_waits_under_the_names_that_dashboards_read(world: World) -> None:
    group, topic = world.settings.group_id, world.connection.topic
    async with exporter_process(world) as port:
        await world.publish(simulate(SEASON))
        waiting = await until_scraped(port, "kafka_consumergroup_lag_sum", 600, consumergroup=group, topic=topic)
        assert value(waiting, "kafka_topic_partitions", topic=topic) == 3
        assert value(waiting, "kafka_consumergroup_members", consumergroup=group) == 0
        assert value(waiting, "kafka_topic_partition_oldest_offset", topic=topic, partition="2") == 0
        assert value(waiting, "solve_group_status", group=group, status="STOP") == 1
        oldest = value(waiting, "kafka_consumergroup_group_max_lag_seconds", group=group, is_simple_consumer="false")
        assert oldest
        for partition in "012":
            of = {"topic": topic, "partition": partition}
            end = value(waiting, "kafka_topic_partition_current_offset", **of)
            assert end
            assert value(waiting, "kafka_consumergroup_lag", consumergroup=group, **of) == end
            assert value(waiting, "kafka_consumergroup_current_offset", consumergroup=group, **of) == 0
            assert value(waiting, "solve_stage_lag", stage="redis", **of) == end
            assert 0 < (value(waiting, "solve_stage_lag_seconds", stage="postgresql", **of) or 0) <= oldest
        async with world.process():
            done = await until_scraped(port, "kafka_consumergroup_members", 1, consumergroup=group)
            done = await until_scraped(port, "kafka_consumergroup_lag_sum", 0, consumergroup=group, topic=topic)
            for stage in ("postgresql", "redis", "kafka_group"):
                for partition in "012":
                    of = {"stage": stage, "topic": topic, "partition": partition}
                    done = await until_scraped(port, "solve_stage_lag", 0, **of)
                    assert value(done, "solve_stage_lag_seconds", **of) == 0
            owned = value(
                done,
                "kafka_consumergroup_group_lag_seconds",
                cluster_name="default",
                partition="1",
                client_id="solve-projector",
            )
            assert owned == 0
            assert value(done, "solve_group_status", group=group, status="OK") == 1
        await until_scraped(port, "kafka_consumergroup_members", 0, consumergroup=group)


async def test_each_partition_has_one_status(world: World) -> None:
    async with exporting(world) as port:
        scrape = await scraped(port)
    statuses = {
        status.name: value(scrape, "solve_partition_status", partition="0", status=status.name) for status in Status
    }
    assert statuses == {**dict.fromkeys(statuses, 0), "OK": 1}


async def test_what_needs_an_operator_can_be_alerted_on(world: World) -> None:
    topic = world.connection.topic
    async with world.raw_producer() as producer:
        await producer.send_and_wait(topic, b"{", key=b"k")
    await world.publish([solved("1", "nobody", "p"), solved("2", "nobody", "q")])
    await world.run_once()
    async with exporting(world) as port:
        scrape = await until_scraped(port, "solve_dead_letters", 1, reason="not-json")
        assert (value(scrape, "solve_parked_users"), value(scrape, "solve_parked_events")) == (1, 2)
        assert value(scrape, "solve_leaderboard_outbox_rows") == 0
        assert value(scrape, "solve_recount_age_seconds") == 0
        assert value(scrape, "solve_backlog_estimated", metric="solve_dead_letters") == 0
        assert value(scrape, "solve_audit_drift") is None  # nobody has looked yet
        await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)
        scrape = await until_scraped(port, "solve_audit_drift", 0)
        assert value(scrape, "solve_audit_last_timestamp_seconds")
        async with world.database() as connection:
            await connection.execute("INSERT INTO problem_recounts (problem_id, asked_at) VALUES ('p', '2026-01-01Z')")
        await until(lambda: _is_old(port), "the recount's age")


async def _is_old(port: int) -> bool:
    return (value(await scraped(port), "solve_recount_age_seconds") or 0) > 3_600


async def test_an_unsafe_topic_setting_shows(world: World) -> None:
    topic = world.connection.topic
    await world.publish(simulate(SEASON))
    async with exporting(world) as port:
        scrape = await until_scraped(port, "solve_topic_setting_unsafe", 0, topic=topic, setting="retention.ms")
        assert value(scrape, "solve_retention_margin_seconds", topic=topic) == math.inf
        await set_topic(world, retention_ms="86400000")
        scrape = await until_scraped(port, "solve_topic_setting_unsafe", 1, topic=topic, setting="retention.ms")
        assert 0 < (value(scrape, "solve_retention_margin_seconds", topic=topic) or 0) <= 86_400


async def test_figures_of_an_unavailable_store_are_absent_not_stale(
    breakable: World, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = breakable
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with exporting(world) as port:
        await until_scraped(port, "solve_source_up", 1, source="postgresql")
        stack.postgres.kill()
        down = await until_scraped(port, "solve_source_up", 0, source="postgresql")
        assert value(down, "kafka_consumergroup_lag_sum") is None
        assert value(down, "solve_stage_lag", stage="kafka_group", partition="0") == 0
        await asyncio.to_thread(stack.start)
        back = await until_scraped(port, "solve_source_up", 1, source="postgresql")
        assert value(back, "kafka_consumergroup_lag_sum") == 0
        monkeypatch.setattr("solve_projector.log.inspection.READ_TIMEOUT_S", 1.0)  # in vain: the broker is gone
        stack.kafka.kill()
        down = await until_scraped(port, "solve_source_up", 0, source="kafka")
        assert value(down, "kafka_topic_partitions") is None
        monkeypatch.undo()
        await asyncio.to_thread(stack.start)
        await until_scraped(port, "kafka_consumergroup_lag_sum", 0)


async def test_a_missing_log_does_not_end_the_exporter(world: World) -> None:
    async with exporting(world) as port:
        await until_scraped(port, "solve_source_up", 1, source="kafka")
        await delete_topic(world)
        await until_scraped(port, "solve_source_up", 0, source="kafka")
        await create_topic(world)
        await until_scraped(port, "solve_source_up", 1, source="kafka")


def test_figures_that_are_old_are_absent() -> None:
    collector = LagCollector("default", stale_after_s=60)
    collector.show(Snapshot(1.0, "g", "t", problems={}), {})
    assert [family.name for family in collector.collect()] == ["solve_last_snapshot_timestamp_seconds"]
