"""Metrics under the names that dashboards and alerts use."""

import asyncio
import socket
from collections import Counter
from itertools import islice

import pytest
from redis.asyncio import Redis

from devstack.ports import free_port
from solve_producer.demo.simulation import Season, bad_records, simulate
from solve_projector.live.process import open_projector
from solve_projector.telemetry.metrics import UNKNOWN_TYPE
from solve_runtime.errors import MetricsUnservable
from solve_schemas.events import SubmissionSolved, UserRegistered
from solve_schemas.record import encode
from tests.asking import Watched, by_labels, get, parsed, watched
from tests.events import BEGIN, registered, revoked, solved
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=60, problems=40, events=3_000, seed=3)
CONTRACT = {
    "solve_projector_events_total": {"type", "outcome"},
    "solve_projector_dead_letters_total": {"reason"},
    "solve_projector_mis_keyed_total": set(),
    "solve_projector_batch_records_bucket": {"le"},
    "solve_projector_stage_duration_seconds_bucket": {"stage", "le"},
    "solve_projector_latency_seconds_bucket": {"stage", "le"},
    "solve_projector_retries_total": {"stage"},
    "solve_projector_fences_total": set(),
    "solve_projector_database_errors_total": {"sqlstate"},
    "solve_projector_losing_verdicts_total": set(),
    "solve_projector_open_transaction_seconds": set(),
    "solve_projector_leaderboard_rebuilds_total": {"reason"},
    "solve_projector_rebalances_total": set(),
    "solve_projector_assigned_partitions": set(),
    "solve_projector_swept_users_total": set(),
    "solve_projector_recounted_users_total": set(),
    "solve_projector_last_progress_timestamp_seconds": set(),
    "solve_projector_ready_condition": {"condition"},
    "messaging_client_consumed_messages_total": {
        "messaging_system", "messaging_destination_name", "messaging_consumer_group_name",
    },
    "messaging_process_duration_seconds_bucket": {
        "messaging_system", "messaging_destination_name", "messaging_consumer_group_name", "le",
    },
    "process_resident_memory_bytes": set(),
    "process_cpu_seconds_total": set(),
    "python_info": {"implementation", "major", "minor", "patchlevel", "version"},
    "python_gc_collections_total": {"generation"},
}  # fmt: skip
LABEL_VALUES = {
    ("solve_projector_events_total", "outcome"): {"applied", "parked", "dead_letter"},
    ("solve_projector_events_total", "type"): {
        "user.registered.v1", "user.removed.v1", "submission.solved.v1", "submission.revoked.v1",
        "problem.withdrawn.v1", "problem.restored.v1", "unknown",
    },
    ("solve_projector_stage_duration_seconds_bucket", "stage"): {"fetch", "decode", "postgresql", "redis"},
    ("solve_projector_latency_seconds_bucket", "stage"): {"postgresql", "redis"},
    ("solve_projector_retries_total", "stage"): {"kafka", "postgresql", "redis"},
    ("solve_projector_leaderboard_rebuilds_total", "reason"): {
        "no_board", "members_missing", "lost_write", "new_epoch",
    },
    ("solve_projector_ready_condition", "condition"): {"postgresql", "kafka", "group", "leaderboard", "log_safe"},
}  # fmt: skip


async def test_a_season_is_counted_by_type_and_outcome(world: World) -> None:
    """Registrations first, so that unknown users do not depend on the batches."""
    events = list(simulate(SEASON))
    names = [event for event in events if isinstance(event, UserRegistered)]
    others = [event for event in events if not isinstance(event, UserRegistered)]
    known = {event.user_id for event in names}
    poison = list(islice(bad_records(SEASON), 13))
    await world.publish(names)
    async with watched(world) as asked:
        await world.until_right()
        await world.publish(others)
        async with world.raw_producer() as producer:
            for record in poison:
                await producer.send(world.connection.topic, record.value, key=record.key, headers=record.headers)
        await until(lambda: _records(world, len(events) + 13), "everything to be applied")
        await world.until_right()
        series = await asked.series()
    expected = Counter(
        (("applied" if event.user_id in known else "parked"), event.type_name) for event in (*names, *others)
    )
    expected["dead_letter", SubmissionSolved.type_name] = 12
    expected["dead_letter", UNKNOWN_TYPE] = 1
    assert by_labels(series, "solve_projector_events_total") == expected
    assert any(outcome == "parked" for outcome, _ in expected)
    letters = await world.fetch("SELECT reason, count(*)::float8 FROM dead_letters GROUP BY reason")
    assert by_labels(series, "solve_projector_dead_letters_total") == {(row[0],): row[1] for row in letters}
    of_group = (world.settings.group_id, world.connection.topic, "kafka")
    total = len(events) + 13
    assert by_labels(series, "messaging_client_consumed_messages_total") == {of_group: total}
    assert by_labels(series, "solve_projector_batch_records_sum") == {(): total}


async def _records(world: World, number: int) -> bool:
    return bool(await world.value("SELECT sum(next_offset) = $1 FROM partition_offsets", number))


async def test_every_batch_is_measured_on_its_way(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with watched(world) as asked:
        await world.until_right()
        await until(lambda: _on_board(asked), "the last batch to be measured")
        batches = asked.projector.pipeline.totals.batches
        measured = await asked.values("solve_projector_stage_duration_seconds_count")
        assert measured == {(stage,): batches for stage in ("fetch", "decode", "postgresql", "redis")}
        assert await asked.values("solve_projector_latency_seconds_count") == {
            ("postgresql",): batches,
            ("redis",): batches,
        }
        assert list((await asked.values("messaging_process_duration_seconds_count")).values()) == [batches]
        assert await asked.values("solve_projector_assigned_partitions") == {(): 3}
        assert await asked.values("solve_projector_rebalances_total") == {(): 1}
        before = await asked.values("solve_projector_last_progress_timestamp_seconds")
        await world.publish([solved("2", "u", "q")])
        await until(lambda: _moved(asked, before), "progress to be reported")


async def _on_board(asked: Watched) -> bool:
    found = await asked.values("solve_projector_latency_seconds_count")
    return found[("postgresql",)] == found.get(("redis",))


async def _moved(asked: Watched, before: dict[tuple[str, ...], float]) -> bool:
    return bool((await asked.values("solve_projector_last_progress_timestamp_seconds"))[()] > before[()])


async def test_foreign_records_cannot_make_the_series_grow(world: World) -> None:
    async with watched(world) as asked:
        await world.publish([registered("u"), solved("1", "u", "p")])
        await world.until_right()
        before = (await asked.series()).keys()
        record = encode(solved("2", "u", "p"))
        async with world.raw_producer() as producer:
            for number in range(50):
                headers = [("ce_type", f"type {number}".encode())]
                await producer.send(world.connection.topic, record.value, key=f"{number}".encode(), headers=headers)
            await producer.send(world.connection.topic, None, key=b"u")
            await producer.send(world.connection.topic, record.value, headers=[("ce_type", b"\xff\n")])
        await until(lambda: _records(world, 54), "everything to be applied")
        after = await asked.series()
        assert after.keys() == before
        assert by_labels(after, "solve_projector_events_total")["dead_letter", UNKNOWN_TYPE] == 52


async def test_fences_and_new_epochs_are_counted(world: World) -> None:
    async with watched(world) as asked:
        await world.publish([registered("u"), solved("1", "u", "p"), solved("2", "u", "q")], 0)
        await world.until_right()
        async with world.database() as connection:
            await connection.execute("UPDATE partition_offsets SET next_offset = next_offset - 1 WHERE partition = 0")
        await world.publish([solved("3", "u", "r")], 0)
        await world.until_right()
        assert await asked.values("solve_projector_fences_total") == {(): 1}
        assert ("new_epoch",) in await asked.values("solve_projector_leaderboard_rebuilds_total")


async def test_a_lost_leaderboard_is_counted_as_rebuilt(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with watched(world) as asked:
        await world.until_right()
        redis = Redis.from_url(world.settings.redis_url.get_secret_value())
        before = await asked.values("solve_projector_leaderboard_rebuilds_total")
        await redis.delete(f"{{{world.settings.leaderboard_prefix}}}:current")
        await redis.aclose()
        await world.until_right()
        await until(asked.ready, "the leaderboard to be in sync")
        after = await asked.values("solve_projector_leaderboard_rebuilds_total")
    assert Counter(after) - Counter(before) == {("no_board",): 1}


async def test_swept_users_and_mis_keyed_records_are_counted(world: World) -> None:
    async with watched(world) as asked:
        record = encode(solved("1", "u", "p"))
        async with world.raw_producer() as producer:
            await producer.send(world.connection.topic, record.value, key=b"v", headers=record.headers)
        await until(lambda: world.value("SELECT count(*) FROM parked_events"))
        async with world.database() as connection:
            await connection.execute("INSERT INTO users (user_id, username) VALUES ('u', 'from the site')")
        await until(lambda: asked.values("solve_projector_swept_users_total"), "the sweep")
        assert await asked.values("solve_projector_swept_users_total") == {(): 1}
        assert await asked.values("solve_projector_mis_keyed_total") == {(): 1}


async def test_a_record_that_postgresql_refuses_is_counted_once(world: World) -> None:
    """Also the one that PostgreSQL refuses only in the sweep."""
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CHECK (submission_id <> 'refused')")
    good = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(20))]
    async with watched(world) as asked:
        await world.publish([*good, solved("refused", "u", "x"), revoked("1", "u", "p1", 50)], 0)
        await until(lambda: _records(world, 23), "everything to be applied")
        assert await asked.values("solve_projector_events_total") == {
            ("applied", "user.registered.v1"): 1,
            ("applied", "submission.solved.v1"): 20,
            ("applied", "submission.revoked.v1"): 1,
            ("dead_letter", "submission.solved.v1"): 1,
        }
        await world.publish([solved("refused", "site", "x")])
        await until(lambda: world.value("SELECT count(*) FROM parked_events"))
        async with world.database() as connection:
            await connection.execute("INSERT INTO users (user_id, username) VALUES ('site', 'from the site')")
        await until(lambda: world.value("SELECT count(*) = 2 FROM dead_letters"))
        await until(lambda: asked.values("solve_projector_swept_users_total"), "the sweep to end")
        assert await asked.values("solve_projector_dead_letters_total") == {("refused-by-database",): 2}


async def test_a_process_serves_every_name_of_the_contract(world: World) -> None:
    port = free_port()
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with world.process(SOLVE_METRICS_PORT=str(port)) as process:
        await world.until_right()
        status, text = await asyncio.to_thread(get, port, "/metrics")
        assert status == 200
        assert (await asyncio.to_thread(get, port, "/livez"))[0] == 200
        await until(lambda: _ok(port, "/readyz"), "the process to be ready")
        assert (await asyncio.to_thread(get, port, "/"))[0] == 404
        process.terminate()
        _, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0
    assert b'"action": "metrics_serving"' in log
    series = parsed(text)
    labels: dict[str, set[str]] = {}
    for name, pairs in series:
        labels.setdefault(name, set()).update(label for label, _ in pairs)
    assert {name: labels.get(name) for name in CONTRACT} == CONTRACT
    for (name, label), values in LABEL_VALUES.items():
        assert {dict(pairs)[label] for found, pairs in series if found == name} == values, (name, label)
    ours = {name for name in labels if name.startswith(("solve_", "messaging_"))}
    assert {name.removesuffix("_sum").removesuffix("_count").removesuffix("_bucket") for name in ours} == {
        name.removesuffix("_bucket") for name in CONTRACT if name.startswith(("solve_", "messaging_"))
    }


async def _ok(port: int, page: str) -> bool:
    status, _ = await asyncio.to_thread(get, port, page)
    return status == 200


async def test_nothing_is_served_where_no_port_is_set(world: World) -> None:
    async with open_projector(world.connection, world.settings) as projector:
        assert projector.metrics_port is None


async def test_a_port_that_is_taken_is_a_named_error(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MetricsUnservable, match=f"127.0.0.1:{port}.*SOLVE_METRICS_PORT"):
            async with open_projector(world.connection, world.settings.model_copy(update={"metrics_port": port})):
                pass
