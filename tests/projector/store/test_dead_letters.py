"""Dead letters that are never lost, never hidden and never applied wrongly later (I1, I4, I5, I11)."""

import asyncio
from typing import Any

import pytest

from solve_projector.errors import DeadLetterUnknown
from solve_projector.operations import retry_dead_letters as dead_letter_retry
from solve_projector.store import dead_letters
from solve_projector.store.dead_letters import Selection
from solve_projector.store.postgresql import connect
from solve_schemas.events import EVENT_MODELS, Event, SubmissionSolved
from solve_schemas.record import encode
from solve_schemas.rejection import Reason
from tests.events import registered, revoked, solved
from tests.projector.dead_letters import EVERYTHING, add_dead_letters, retry
from tests.waiting import until
from tests.world import World


async def test_a_record_of_an_unknown_type_applies_once_its_type_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [registered("u"), solved("1", "u", "p", 1)]
    await world.publish(known)
    future = solved("2", "u", "q", 2)
    async with world.raw_producer() as producer:
        headers = [("ce_type", b"submission.solved.v9")]
        await producer.send_and_wait(world.connection.topic, encode(future).value, key=b"u", headers=headers)
    async with world.running():
        await until(lambda: world.value("SELECT count(*) = 1 FROM dead_letters"))
        assert (await retry(world)).still_dead == {"unknown-type": 1}
        monkeypatch.setitem(EVENT_MODELS, "submission.solved.v9", SubmissionSolved)
        retried = await retry(world, Selection(reason="unknown-type"))
        assert (retried.applied, retried.parked, retried.still_dead) == (1, 0, {})
        await world.until_right([*known, future])  # the board too, though no offset stands for this change
    assert await world.value("SELECT count(*) FROM dead_letters") == 0


async def test_retrying_twice_applies_once(world: World) -> None:
    events: list[Event] = [registered("u"), solved("1", "u", "p", 1)]
    for _ in range(2):
        await add_dead_letters(world, events)
        assert (await retry(world)).applied == 2
    assert (await retry(world)).applied == 0
    await world.run_once()
    assert await world.differences(events) == []


async def test_a_retried_dead_letter_keeps_its_source(world: World) -> None:
    headers = {"header_names": ["CE_Type", "CE_Source"], "header_values": [b"submission.solved.v1", b"judge"]}
    await add_dead_letters(world, [solved("1", "u", "p", 1), solved("1", "v", "p", 1)], **headers)
    await add_dead_letters(world, [registered("u")])
    retried = await retry(world)
    assert (retried.applied, retried.parked) == (2, 1)
    assert await world.value("SELECT source FROM verdicts") == "judge"
    assert await world.value("SELECT source FROM parked_events") == "judge"


async def test_a_dead_letter_older_than_what_stands_changes_nothing(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1), revoked("1", "u", "p", 5)])
    await world.run_once()
    before = await world.fetch("SELECT * FROM users"), await world.fetch("SELECT * FROM verdicts")
    await add_dead_letters(world, [solved("1", "u", "p", 3), registered("u", -9, "an older name")])
    assert (await retry(world)).applied == 2
    assert (await world.fetch("SELECT * FROM users"), await world.fetch("SELECT * FROM verdicts")) == before


async def test_a_dead_letter_of_an_unknown_user_is_parked_until_the_registration_comes(world: World) -> None:
    await add_dead_letters(world, [solved("1", "u", "p", 1)])
    retried = await retry(world)
    assert (retried.applied, retried.parked) == (0, 1)
    assert await world.value("SELECT count(*) FROM dead_letters") == 0
    await add_dead_letters(world, [registered("u", 2)])
    assert (await retry(world)).applied == 1
    await world.run_once()
    assert await world.differences([solved("1", "u", "p", 1), registered("u", 2)]) == []


async def test_a_dead_letter_that_still_cannot_be_read_stays_with_todays_reason(world: World) -> None:
    (first,) = await add_dead_letters(world, [solved("1", "u", "p", 1)], value=b"{no json")
    (late,) = await add_dead_letters(world, [solved("2", "u", "p", 1)], broker_timestamp_ms=0)
    assert (await retry(world)).still_dead == {"not-json": 1, "time-out-of-range": 1}
    rows = {row["dead_letter_id"]: row for row in await world.fetch("SELECT * FROM dead_letters")}
    assert (rows[first]["reason"], rows[late]["reason"]) == ("not-json", "time-out-of-range")
    assert rows[first]["detail"] != "as it was said then"
    assert rows[first]["value"] == b"{no json"


async def test_a_dead_letter_that_postgresql_still_refuses_does_not_stop_the_others(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CHECK (submission_id <> 'refused')")
    good = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(40))]
    await add_dead_letters(
        world, [*good[:17], solved("refused", "u", "x", 1), *good[17:], solved("refused", "u", "y", 1)]
    )
    retried = await retry(world)
    assert (retried.applied, retried.still_dead) == (41, {"refused-by-database": 2})
    letters = await world.fetch("SELECT detail FROM dead_letters")
    assert ["verdicts_submission_id_check" in letter["detail"] for letter in letters] == [True, True]
    await world.run_once()
    assert await world.differences(good) == []


async def test_a_refused_parked_event_costs_a_retried_registration_nothing(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CHECK (submission_id <> 'refused')")
    await world.publish([solved("refused", "u", "x", 1), solved("1", "u", "p", 1)])
    await world.run_once()
    await add_dead_letters(world, [registered("u", 5)])
    assert (await retry(world)).applied == 1
    await world.run_once()  # its sweep finds the refused one
    assert await world.differences([registered("u", 5), solved("1", "u", "p", 1)]) == []


async def test_a_parked_event_that_was_refused_applies_once_postgresql_takes_it(world: World) -> None:
    """Parked events keep no broker timestamp, so a retry does not check the times again."""
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CONSTRAINT strict CHECK (submission_id <> 'refused')")
    await world.publish([solved("refused", "u", "x", 1)], source="judge")
    await world.run_once()
    await world.publish([registered("u", 5)])
    await world.run_once()
    assert await world.value("SELECT broker_timestamp_ms FROM dead_letters") == -1
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts DROP CONSTRAINT strict")
    assert (await retry(world)).applied == 1
    assert await world.value("SELECT source FROM verdicts") == "judge"
    await world.run_once()
    assert await world.differences() == []


async def test_many_dead_letters_are_applied_in_chunks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(1_200))]
    await add_dead_letters(world, events)
    pages = [page async for page in _pages(world)]
    assert [len(page) for page in pages] == [500, 500, 201]
    monkeypatch.setattr(dead_letters, "PAGE_BYTES", 4_096)
    assert len([page async for page in _pages(world)]) > 20
    assert (await retry(world)).applied == 1_201
    await world.run_once()
    assert await world.differences(events) == []


async def _pages(world: World):  # type: ignore[no-untyped-def]
    connection = await connect(world.settings)
    async for page in dead_letters.read_pages(connection, EVERYTHING):
        yield page
    await connection.close()


async def test_a_page_is_bounded_by_what_its_bytes_are_unpacked(world: World) -> None:
    """PostgreSQL keeps a megabyte of zeros in a few kilobytes."""
    zeros = b"0" * 2**20
    await add_dead_letters(
        world, [solved(str(n), "u", "p", n) for n in range(10)], header_names=["x"], header_values=[zeros]
    )
    pages = [page async for page in _pages(world)]
    assert sum(map(len, pages)) == 10
    sizes = [sum(len(content or b"") for one in page for _, content in one.headers) for page in pages]
    assert max(sizes) <= dead_letters.PAGE_BYTES


async def test_a_retry_of_one_users_dead_letters_reads_no_bytes_of_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_dead_letters(world, [registered("u"), *(solved(str(n), "other", "p", n) for n in range(20))])
    await add_dead_letters(world, [solved("by key", "v", "p")], value=b"not JSON", key="ü".encode())
    await add_dead_letters(world, [solved("utf-16", "v", "p")], value='{"user_id": "ü"}'.encode("utf-16"), key=None)
    await add_dead_letters(world, [solved("escaped", "v", "p")], value=rb'{"user_id": "\u00fc"}', key=None)
    read: list[int] = []
    stored = dead_letters._stored

    def counted(row: Any) -> Any:
        read.append(row["dead_letter_id"])
        return stored(row)

    monkeypatch.setattr(dead_letters, "_stored", counted)
    connection = await connect(world.settings)
    found, _ = await dead_letters.summaries(connection, Selection(user_id="ü"), 100)
    await connection.close()
    assert [one["user_id"] for one in found] == ["ü"] * 3
    assert len(read) == 3


async def test_filters_choose_what_is_retried(world: World) -> None:
    await add_dead_letters(world, [registered("u"), solved("1", "u", "p", 1)])
    await add_dead_letters(world, [registered("v")], partition=1)
    await add_dead_letters(world, [registered("w")], reason=Reason.REFUSED_BY_DATABASE)
    assert (await retry(world, Selection(user_id="u"))).applied == 2
    assert (await retry(world, Selection(reason="refused-by-database"))).applied == 1
    assert (await retry(world, Selection(partition=2))).applied == 0
    assert (await retry(world, Selection(partition=1))).applied == 1


async def test_dead_letters_of_another_topic_are_not_applied_to_these_counts(world: World) -> None:
    (other,) = await add_dead_letters(world, [registered("u")], topic="another-log")
    assert (await retry(world)).applied == 0
    with pytest.raises(DeadLetterUnknown, match="belongs to topic another-log"):
        await retry(world, Selection(ids=(other,)))
    assert await world.value("SELECT count(*) FROM users") == 0


async def test_an_unknown_id_stops_a_retry_before_anything_changed(world: World) -> None:
    (known,) = await add_dead_letters(world, [registered("u")])
    with pytest.raises(DeadLetterUnknown, match="there is no dead letter 999"):
        await retry(world, Selection(ids=(known, 999)))
    assert await world.value("SELECT count(*) FROM users") == 0


async def test_a_discarded_dead_letter_is_retried_only_by_its_id(world: World) -> None:
    (given_up,) = await add_dead_letters(world, [registered("u")])
    async with world.database() as connection:
        await dead_letters.discard(connection, [given_up], "ada", "a test")
    assert (await retry(world)).applied == 0
    assert (await retry(world, Selection(ids=(given_up,)))).applied == 1


async def test_retries_at_once_neither_deadlock_nor_count_twice(world: World) -> None:
    users = [f"u{number:02}" for number in range(20)]
    await world.publish([registered(user) for user in users[:10]])  # the others are unknown, so they are parked
    await world.run_once()
    for turn in range(5):
        events = [solved(f"{turn}-{user}", user, f"p{turn}", turn) for user in users]
        world.published += events
        await add_dead_letters(world, events)
        await add_dead_letters(world, events[::-1], value=b"not JSON")
        done = await asyncio.gather(*(retry(world, Selection(reason=r)) for r in ("unknown-type", None, None, None)))
        # each letter is applied or parked by one of them
        assert (sum(one.applied for one in done), sum(one.parked for one in done)) == (10, 10)
    assert await world.value("SELECT count(*) FROM dead_letters") == 100
    await world.run_once()
    assert await world.differences() == []


async def test_retries_at_once_of_dead_letters_without_a_user_to_queue_for_do_not_deadlock(world: World) -> None:
    ids = await add_dead_letters(world, [registered(f"u{number}") for number in range(120)], value=b"not JSON")
    for _ in range(5):
        done = await asyncio.gather(*(retry(world) for _ in range(4)), retry(world, Selection(ids=tuple(ids[::-1]))))
        assert [one.still_dead for one in done] == [{"not-json": 120}] * 5


async def test_retries_beside_live_projection_and_the_sweep_come_out_right(world: World) -> None:
    users = [f"u{number:02}" for number in range(12)]
    async with world.running():
        for turn in range(6):
            late = [solved(f"late-{turn}-{user}", user, f"q{turn}", turn) for user in users]
            await add_dead_letters(world, late)
            live = [solved(f"{turn}-{user}", user, f"p{turn}", turn) for user in reversed(users)]
            names = [registered(user, turn) for user in users[turn * 2 : turn * 2 + 2]]
            await asyncio.gather(world.publish([*live, *names]), retry(world), retry(world))
            world.published += late
        await world.until_right()


async def test_a_dead_letter_discarded_while_it_is_retried_stays_discarded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await add_dead_letters(world, [registered("u"), registered("v")])
    lock = dead_letter_retry._lock

    async def discard_then_lock(*arguments: Any) -> None:
        monkeypatch.setattr(dead_letter_retry, "_lock", lock)
        async with world.database() as connection:
            await dead_letters.discard(connection, [first], "ada", "no")
        await lock(*arguments)

    monkeypatch.setattr(dead_letter_retry, "_lock", discard_then_lock)
    assert (await retry(world)).applied == 1
    assert [row[0] for row in await world.fetch("SELECT dead_letter_id FROM dead_letters")] == [first]
    assert await world.value("SELECT user_id FROM users") == "v"
    assert second != first
