"""Erased is erased (I13): no dead letter of an erased user holds a name, whoever writes it, and when."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from solve_projector.errors import DeadLetterUnknown
from solve_projector.live import sweep
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.replay.report import Report
from solve_projector.store.dead_letters import Selection
from tests.events import registered, removed, solved
from tests.projector.dead_letters import add_dead_letters, retry
from tests.world import World

NAME = "Ada Lovelace"
NAMED = f"SELECT count(*) FROM dead_letters WHERE position('{NAME}'::bytea IN value) > 0"


async def publish_broken(world: World, user_id: str) -> None:
    """A registration that no version can read, with the name in value, key and headers."""
    value = json.dumps({"user_id": user_id, "username": NAME, "registered_at": "yesterday"}).encode()
    headers = [("ce_type", b"user.registered.v1"), ("ce_subject", NAME.encode())]
    async with world.raw_producer() as producer:
        await producer.send_and_wait(world.connection.topic, value, key=NAME.encode(), headers=headers)


async def replayed(world: World, **options: Any) -> Report:
    return await replay(world.connection, world.settings, ReplayOptions(**options), lambda *_: None)


async def letters(world: World) -> Mapping[str, list[bool]]:
    """Of each user, for each dead letter, whether the name is in it, anywhere."""
    found: dict[str, list[bool]] = {}
    for row in await world.fetch("SELECT * FROM dead_letters ORDER BY dead_letter_id"):
        found.setdefault(row["user_ids"][0], []).append(NAME in str(dict(row)))
    return found


async def publish_an_erasure(world: World) -> None:
    """Letters before it, with it in one batch, and after it; and one of somebody else."""
    await world.publish([registered("ada", username=NAME), registered("bob")])
    await publish_broken(world, "ada")
    await publish_broken(world, "bob")
    await world.run_once()
    assert await letters(world) == {"ada": [True], "bob": [True]}
    await world.publish([removed("ada", 1, erase=True)])
    await publish_broken(world, "ada")
    await world.run_once()
    await publish_broken(world, "ada")
    await world.run_once(sweep_interval_s=600)


async def test_dead_letters_of_an_erased_user_are_blanked_also_those_that_come_later(world: World) -> None:
    await publish_an_erasure(world)
    assert await letters(world) == {"ada": [False] * 3, "bob": [True]}
    assert await world.value("SELECT count(*) FROM dead_letters WHERE discarded_at IS NULL") == 1
    assert await world.value("SELECT array_agg(DISTINCT reason) FROM dead_letters") == ["invalid-event"]


async def test_a_replay_compares_their_places_and_keeps_no_name(world: World) -> None:
    await publish_an_erasure(world)
    assert not (await replayed(world, dry_run=True)).drifted
    async with world.database() as connection:
        await connection.execute("DELETE FROM dead_letters")
    assert (await replayed(world)).dead_letters == {"missing": 4, "extra": 0}
    assert await letters(world) == {"ada": [False] * 3, "bob": [True]}
    async with world.database() as connection:
        await connection.execute("TRUNCATE users, user_removals, dead_letters, partition_offsets")
    assert (await replayed(world)).cold
    assert await letters(world) == {"ada": [False] * 3, "bob": [True]}


async def test_a_sweep_blanks_what_transactions_that_crossed_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "ERASED_AT_ONCE", 2)
    gone = [removed(user_id, 1, erase=True) for user_id in ("ada", "nobody", "back")]
    await world.publish([registered("ada"), *gone, registered("back", 2), removed("banned", 1), registered("banned")])
    await world.run_once()
    names = [registered(user_id, username=NAME) for user_id in ("ada",) * 5 + ("nobody", "back", "banned")]
    await add_dead_letters(world, names, broker_timestamp_ms=0)
    await add_dead_letters(world, [registered("back", username=NAME)])  # it was published since
    await world.run_once()  # sweeps
    assert await letters(world) == {"ada": [False] * 5, "nobody": [False], "back": [False, True], "banned": [True]}


async def test_who_discarded_it_stays_and_a_retry_says_why_it_cannot(world: World) -> None:
    ours, theirs = await add_dead_letters(world, [registered("ada", username=NAME)] * 2)
    async with world.database() as connection:
        await connection.execute(
            "UPDATE dead_letters SET discarded_at = now(), discarded_by = 'eve', discarded_why = 'a test' "
            "WHERE dead_letter_id = $1",
            theirs,
        )
    await world.publish([removed("ada", 1, erase=True)])
    await world.run_once()
    who = await world.fetch("SELECT discarded_by, discarded_why FROM dead_letters ORDER BY dead_letter_id")
    assert [tuple(row) for row in who] == [("solve-projector", "its user was erased"), ("eve", "a test")]
    assert (await retry(world)).still_dead == {}
    with pytest.raises(DeadLetterUnknown, match=f"dead letter {ours} holds no record any more"):
        await retry(world, Selection(ids=(ours,)))


async def test_a_letter_without_the_brokers_time_stays_of_somebody_who_is_back(world: World) -> None:
    """A parked event that PostgreSQL refused."""
    await add_dead_letters(world, [solved("1", user_id, "p") for user_id in ("back", "gone")], broker_timestamp_ms=-1)
    await world.publish([removed("back", 1, erase=True), removed("gone", 1, erase=True), registered("back", 2)])
    await world.run_once()
    rows = await world.fetch("SELECT user_ids[1], erased FROM dead_letters ORDER BY 1")
    assert [tuple(row) for row in rows] == [("back", False), ("gone", True)]
