"""Does a replay prove and rebuild every count, whatever is wrong, and leave alone what is right? (I7, I8)"""

from itertools import islice
from typing import Any

import pytest

from producer.simulation import Season, bad_records, simulate
from projector.replay.replaying import ReplayOptions, replay
from projector.replay.report import Report
from tests.events import BEGIN
from tests.world import World

TABLES = {
    "users": "SELECT user_id, username, registered_at, origin, problems_solved, last_solved_at FROM users ORDER BY 1",
    "verdicts": "SELECT * FROM verdicts ORDER BY 1, 2, 3",
    "parked_events": "SELECT user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, "
    "contest_id, reason, source_partition, source_offset FROM parked_events ORDER BY 1, 2, 3",
    "dead_letters": 'SELECT topic, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, '
    "reason, detail FROM dead_letters ORDER BY 1, 2, 3",
    "partition_offsets": "SELECT partition, next_offset, first_offset, first_timestamp_ms, last_offset, "
    "last_timestamp_ms FROM partition_offsets ORDER BY 1",
}


def season(seed: int, events: int = 3_000) -> Season:
    return Season(start=BEGIN, users=60, problems=40, events=events, seed=seed, unknown_users=0.02)


async def publish_season(world: World, seed: int) -> None:
    await world.publish(simulate(season(seed)))
    async with world.raw_producer() as producer:
        for record in islice(bad_records(season(seed)), 20):
            await producer.send(world.connection.topic, record.value, key=record.key, headers=record.headers)


async def replayed(world: World, **options: Any) -> Report:
    return await replay(world.connection, world.settings, ReplayOptions(**options), lambda *_: None)


async def tables(world: World) -> dict[str, list[Any]]:
    return {name: [tuple(row) for row in await world.fetch(query)] for name, query in TABLES.items()}


async def empty(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("TRUNCATE users, verdicts, parked_events, dead_letters, partition_offsets")


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_cold_rebuild_gives_what_live_projection_gave(world: World, seed: int) -> None:
    await publish_season(world, seed)
    await world.run_once()
    live = await tables(world)
    await empty(world)
    report = await replayed(world)
    assert report.cold
    assert await tables(world) == live
    assert await world.differences() == []
    assert report.users_updated == sum(1 for row in live["users"] if row[4])


async def test_a_replay_over_what_is_right_reports_nothing_and_changes_nothing(world: World) -> None:
    await publish_season(world, 3)
    await world.run_once()
    before = await tables(world)
    for dry_run in (True, False):
        report = await replayed(world, dry_run=dry_run)
        assert not report.drifted, report
        assert report.message.endswith("0 users updated out of " + str(len(before["users"]))) or dry_run
    assert await tables(world) == before


DRIFT = {
    "a wrong count": "UPDATE users SET problems_solved = problems_solved + 5 "
    "WHERE problems_solved > 0 AND user_id < $1",
    "a wrong last solve": "UPDATE users SET last_solved_at = last_solved_at + interval '3 days' "
    "WHERE problems_solved > 0 AND user_id < $1",
    "a zero": "UPDATE users SET problems_solved = 0, last_solved_at = NULL WHERE user_id < $1",
    "missing verdicts": "DELETE FROM verdicts WHERE user_id < $1 AND right(submission_id, 1) < '5'",
    "an extra verdict": "INSERT INTO verdicts SELECT user_id, 'p-extra', 's-extra', true, now(), now(), '', '', '', 0, "
    "1000000000 FROM users WHERE user_id < $1",
    "a time years ahead": "UPDATE verdicts SET judged_at = judged_at + interval '9 years' WHERE user_id < $1",
    "an earlier submission": "UPDATE verdicts SET submitted_at = submitted_at - interval '9 years' "
    "WHERE solved AND user_id < $1",
    "flipped verdicts": "UPDATE verdicts SET solved = NOT solved, submitted_at = CASE WHEN solved THEN NULL "
    "ELSE judged_at END WHERE user_id < $1",
    "a lost user": "DELETE FROM users WHERE user_id < $1",
    "another name": "UPDATE users SET username = 'nobody' WHERE user_id < $1",
    "lost parked events": "DELETE FROM parked_events WHERE user_id <> $1",
    "lost dead letters": "DELETE FROM dead_letters WHERE key IS DISTINCT FROM $1::text::bytea",
    "offsets moved back": "UPDATE partition_offsets SET next_offset = next_offset / 2 WHERE topic <> $1",
    "offsets ahead of the log": "UPDATE partition_offsets SET next_offset = next_offset + 500 WHERE topic <> $1",
}


@pytest.mark.parametrize("kind", DRIFT)
async def test_drift_is_found_and_repaired(world: World, kind: str) -> None:
    await publish_season(world, 4)
    await world.run_once()
    right = await tables(world)
    some = sorted(row[0] for row in right["users"])[20]
    async with world.database() as connection:
        changed = await connection.execute(DRIFT[kind], some)
    assert not changed.endswith(" 0"), changed
    assert (await replayed(world, dry_run=True)).drifted
    assert (await replayed(world)).drifted
    assert await tables(world) == right
    assert await world.differences() == []
    assert not (await replayed(world, dry_run=True)).drifted
    assert await world.value("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'solve_replay%'") == 0
