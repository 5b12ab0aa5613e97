"""Is a record that could not be applied ever lost, hidden, or applied wrongly later? (I1, I4, I5, I11)"""

import asyncio
import base64
import json
from typing import Any

import asyncpg
import pytest

from projector import dead_letter_retry, dead_letters
from projector.database import connect
from projector.dead_letter_retry import Retried
from projector.dead_letters import Selection
from projector.errors import AlreadyDecided, DeadLetterUnknown, NothingParked, WhoUnknown
from schemas.events import EVENT_MODELS, Event, SubmissionSolved
from schemas.record import Reason, decode, encode
from tests.events import at, registered, revoked, solved
from tests.waiting import until
from tests.world import World

BROKER_TIME_MS = int(at(86_400).timestamp() * 1000)
EVERYTHING = Selection()


async def bury(
    world: World,
    events: list[Event],
    partition: int = 0,
    reason: Reason = Reason.UNKNOWN_TYPE,
    **changes: Any,
) -> list[int]:
    """Dead letters of good records, as an older version or a stricter database left them; their ids."""
    ids = []
    async with world.database() as connection:
        begin = await connection.fetchval('SELECT coalesce(max("offset") + 1, 1000) FROM dead_letters')
        for offset, event in enumerate(events, begin):
            record = encode(event)
            columns = {
                "topic": world.connection.topic,
                "partition": partition,
                "offset": offset,
                "broker_timestamp_ms": BROKER_TIME_MS,
                "key": record.key,
                "value": record.value,
                "header_names": [name for name, _ in record.headers],
                "header_values": [content for _, content in record.headers],
                "reason": reason.value,
                "detail": "as it was said then",
            } | changes
            names = ", ".join(f'"{name}"' for name in columns)
            places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
            insert = f"INSERT INTO dead_letters ({names}) VALUES ({places}) RETURNING dead_letter_id"
            ids.append(await connection.fetchval(insert, *columns.values()))
    return ids


async def retry(world: World, selection: Selection = EVERYTHING) -> Retried:
    """`solve-projector dead-letters retry` on a connection of its own, with the projector's session limits."""
    connection = await connect(world.settings)
    try:
        return await dead_letter_retry.retry(connection, world.connection.topic, selection)
    finally:
        await connection.close()


async def command(world: World, *words: str, **changes: str) -> tuple[int, str, str]:
    """`solve-projector dead-letters …` as a process: exit status, standard output, standard error."""
    async with world.process("dead-letters", *words, **changes) as process:
        out, err = await process.output  # type: ignore[attr-defined]
    return process.returncode or 0, out.decode(), err.decode()


async def listed(world: World, *words: str) -> list[dict[str, Any]]:
    status, out, err = await command(world, "list", "--json", *words)
    assert status == 0, err
    return json.loads(out)  # type: ignore[no-any-return]


# retry


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
        monkeypatch.setitem(decode.__globals__["_MODELS_BY_HEADER"], b"submission.solved.v9", SubmissionSolved)
        retried = await retry(world, Selection(reason="unknown-type"))
        assert (retried.applied, retried.parked, retried.still_dead) == (1, 0, {})
        await world.until_right([*known, future])  # the board too, though no offset stands for this change
    assert await world.value("SELECT count(*) FROM dead_letters") == 0


async def test_retrying_twice_applies_once(world: World) -> None:
    events: list[Event] = [registered("u"), solved("1", "u", "p", 1)]
    for _ in range(2):
        await bury(world, events)
        assert (await retry(world)).applied == 2
    assert (await retry(world)).applied == 0
    await world.run_once()
    assert await world.differences(events) == []


async def test_a_letter_older_than_what_stands_changes_nothing(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1), revoked("1", "u", "p", 5)])
    await world.run_once()
    before = await world.fetch("SELECT * FROM users"), await world.fetch("SELECT * FROM verdicts")
    await bury(world, [solved("1", "u", "p", 3), registered("u", -9, "an older name")])
    assert (await retry(world)).applied == 2
    assert (await world.fetch("SELECT * FROM users"), await world.fetch("SELECT * FROM verdicts")) == before


async def test_a_letter_of_an_unknown_user_is_parked_until_the_registration_comes(world: World) -> None:
    await bury(world, [solved("1", "u", "p", 1)])
    retried = await retry(world)
    assert (retried.applied, retried.parked) == (0, 1)
    assert await world.value("SELECT count(*) FROM dead_letters") == 0
    await bury(world, [registered("u", 2)])
    assert (await retry(world)).applied == 1
    await world.run_once()
    assert await world.differences([solved("1", "u", "p", 1), registered("u", 2)]) == []


async def test_a_letter_that_still_cannot_be_read_stays_with_todays_reason(world: World) -> None:
    (first,) = await bury(world, [solved("1", "u", "p", 1)], value=b"{no json")
    (late,) = await bury(world, [solved("2", "u", "p", 1)], broker_timestamp_ms=0)
    assert (await retry(world)).still_dead == {"not-json": 1, "time-out-of-range": 1}
    rows = {row["dead_letter_id"]: row for row in await world.fetch("SELECT * FROM dead_letters")}
    assert (rows[first]["reason"], rows[late]["reason"]) == ("not-json", "time-out-of-range")
    assert rows[first]["detail"] != "as it was said then"
    assert rows[first]["value"] == b"{no json"


async def test_a_letter_that_postgresql_still_refuses_does_not_stop_the_others(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CHECK (submission_id <> 'refused')")
    good = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(40))]
    await bury(world, [*good[:17], solved("refused", "u", "x", 1), *good[17:], solved("refused", "u", "y", 1)])
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
    await bury(world, [registered("u", 5)])
    assert (await retry(world)).applied == 1
    await world.run_once()  # its sweep finds the refused one
    assert await world.differences([registered("u", 5), solved("1", "u", "p", 1)]) == []


async def test_a_parked_event_that_was_refused_applies_once_postgresql_takes_it(world: World) -> None:
    """Nobody kept its broker timestamp, so its times are not checked against one again."""
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CONSTRAINT strict CHECK (submission_id <> 'refused')")
    await world.publish([solved("refused", "u", "x", 1)])
    await world.run_once()
    await world.publish([registered("u", 5)])
    await world.run_once()
    assert await world.value("SELECT broker_timestamp_ms FROM dead_letters") == -1
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts DROP CONSTRAINT strict")
    assert (await retry(world)).applied == 1
    await world.run_once()
    assert await world.differences() == []


async def test_many_letters_are_applied_in_chunks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(1_200))]
    await bury(world, events)
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


async def test_filters_choose_what_is_retried(world: World) -> None:
    await bury(world, [registered("u"), solved("1", "u", "p", 1)])
    await bury(world, [registered("v")], partition=1)
    await bury(world, [registered("w")], reason=Reason.REFUSED_BY_DATABASE)
    assert (await retry(world, Selection(user_id="u"))).applied == 2
    assert (await retry(world, Selection(reason="refused-by-database"))).applied == 1
    assert (await retry(world, Selection(partition=2))).applied == 0
    assert (await retry(world, Selection(partition=1))).applied == 1


async def test_letters_of_another_topic_are_not_applied_to_these_counts(world: World) -> None:
    (other,) = await bury(world, [registered("u")], topic="another-log")
    assert (await retry(world)).applied == 0
    with pytest.raises(DeadLetterUnknown, match="is of topic another-log"):
        await retry(world, Selection(ids=(other,)))
    assert await world.value("SELECT count(*) FROM users") == 0


async def test_an_unknown_id_stops_a_retry_before_anything_changed(world: World) -> None:
    (known,) = await bury(world, [registered("u")])
    with pytest.raises(DeadLetterUnknown, match="there is no dead letter 999"):
        await retry(world, Selection(ids=(known, 999)))
    assert await world.value("SELECT count(*) FROM users") == 0


async def test_a_discarded_letter_is_retried_only_by_its_id(world: World) -> None:
    (given_up,) = await bury(world, [registered("u")])
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
        await bury(world, events)
        await bury(world, events[::-1], value=b"not JSON")
        done = await asyncio.gather(*(retry(world, Selection(reason=r)) for r in ("unknown-type", None, None, None)))
        # each letter is applied or parked by one of them
        assert (sum(one.applied for one in done), sum(one.parked for one in done)) == (10, 10)
    assert await world.value("SELECT count(*) FROM dead_letters") == 100
    await world.run_once()
    assert await world.differences() == []


async def test_retries_at_once_of_letters_without_a_user_to_queue_for_do_not_deadlock(world: World) -> None:
    ids = await bury(world, [registered(f"u{number}") for number in range(120)], value=b"not JSON")
    for _ in range(5):
        done = await asyncio.gather(*(retry(world) for _ in range(4)), retry(world, Selection(ids=tuple(ids[::-1]))))
        assert [one.still_dead for one in done] == [{"not-json": 120}] * 5


async def test_retries_beside_live_projection_and_the_sweep_come_out_right(world: World) -> None:
    users = [f"u{number:02}" for number in range(12)]
    async with world.running():
        for turn in range(6):
            late = [solved(f"late-{turn}-{user}", user, f"q{turn}", turn) for user in users]
            await bury(world, late)
            live = [solved(f"{turn}-{user}", user, f"p{turn}", turn) for user in reversed(users)]
            names = [registered(user, turn) for user in users[turn * 2 : turn * 2 + 2]]
            await asyncio.gather(world.publish([*live, *names]), retry(world), retry(world))
            world.published += late
        await world.until_right()


async def test_a_letter_discarded_while_it_is_retried_stays_discarded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await bury(world, [registered("u"), registered("v")])
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


# list and show


async def test_list_filters_and_finds_the_user_in_the_value_or_the_key(world: World) -> None:
    await bury(world, [solved("1", "u", "p", 1)], key=b"somebody else")
    await bury(world, [solved("2", "v", "p", 1)], partition=1, value=b"{", reason=Reason.NOT_JSON)
    (nobody,) = await bury(world, [registered("w")], key=b"\xff", value=None, reason=Reason.TOMBSTONE)
    assert [row["user_id"] for row in await listed(world)] == ["u", "v", None]
    assert [row["user_id"] for row in await listed(world, "--user", "u")] == ["u"]
    assert [row["reason"] for row in await listed(world, "--reason", "not-json")] == ["not-json"]
    assert [row["partition"] for row in await listed(world, "--partition", "1")] == [1]
    async with world.database() as connection:
        await dead_letters.discard(connection, [nobody], "ada", "no")
    assert len(await listed(world)) == 2
    assert [row["discarded"] and row["discarded"]["by"] for row in await listed(world, "--all")] == [None, None, "ada"]
    status, out, err = await command(world, "list", "--limit", "1")
    assert (status, out.count("as it was said then")) == (0, 1)
    assert "there are more" in err


async def test_list_parked_says_which_are_acknowledged(world: World) -> None:
    await world.publish([solved("1", "u", "p", 1), solved("2", "v", "q", 2)])
    await world.run_once()
    assert (await command(world, "acknowledge", "u", "--by", "ada", "--why", "a guest"))[0] == 0
    rows = {row["user_id"]: row["acknowledged"] for row in await listed(world, "--parked")}
    assert rows["v"] is None
    assert (rows["u"]["by"], rows["u"]["why"]) == ("ada", "a guest")
    assert [row["user_id"] for row in await listed(world, "--parked", "--user", "v")] == ["v"]
    status, out, _ = await command(world, "list", "--parked")
    assert (status, "by ada a guest" in out) == (0, True)


async def test_show_gives_hostile_bytes_without_letting_them_steer_the_terminal(world: World) -> None:
    hostile = b'\x1b[2J\xff\x00\xc2\x9b31m [bold]"\xe2\x80\xae\xc3\xa9' + b"x" * 5_000
    (number,) = await bury(world, [registered("u")], value=hostile, key=b"\x1b]0;title\x07", detail="[red]\x1b[31m")
    status, out, err = await command(world, "show", str(number))
    assert status == 0, err
    assert r"\x1b[2J\xff\x00\x9b31m [bold]" in out
    assert r"\u202eé" in out
    assert all(character.isprintable() or character == "\n" for character in out)
    assert "(cut; 5024 bytes in all" in out
    full = (await command(world, "show", str(number), "--full"))[1]
    assert "x" * 5_000 in full
    table = (await command(world, "list"))[1]
    assert r"[red]\x1b[31m" in table


async def test_show_as_json_gives_the_exact_bytes(world: World) -> None:
    (number,) = await bury(world, [registered("é")], value=b"\xff\x00")
    shown = json.loads((await command(world, "show", str(number), "--json"))[1])
    assert shown["value"] == {"encoding": "base64", "data": base64.b64encode(b"\xff\x00").decode()}
    assert shown["key"] == {"encoding": "utf-8", "data": "é"}
    assert {"name": "ce_type", "value": {"encoding": "utf-8", "data": "user.registered.v1"}} in shown["headers"]


# discard and acknowledge


async def test_discard_keeps_the_record_with_who_when_and_why(world: World) -> None:
    first, second = await bury(world, [registered("u"), registered("v")])
    status, out, err = await command(world, "discard", str(first), "--why", "a test", LOGNAME="grace")
    assert (status, out) == (0, "1 discarded by grace\n"), err
    row = dict((await world.fetch("SELECT * FROM dead_letters WHERE dead_letter_id = $1", first))[0])
    assert (row["discarded_by"], row["discarded_why"], row["value"]) == (
        "grace",
        "a test",
        encode(registered("u")).value,
    )
    assert row["discarded_at"] is not None
    async with world.database() as connection:
        with pytest.raises(AlreadyDecided, match=r"was discarded by grace at .*: a test"):
            await dead_letters.discard(connection, [second, first], "ada", "again")
        with pytest.raises(DeadLetterUnknown, match="no dead letter 999"):
            await dead_letters.discard(connection, [second, 999], "ada", "again")
        with pytest.raises(WhoUnknown):
            await dead_letters.discard(connection, [second], "ada", " ")
    assert [one["id"] for one in await listed(world)] == [second]


async def test_a_decision_is_kept_whole_or_not_at_all(world: World) -> None:
    await bury(world, [registered("u")])
    async with world.database() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE dead_letters SET discarded_at = now()")


async def test_an_acknowledged_event_is_quiet_and_still_applies(world: World) -> None:
    await world.publish([solved("1", "u", "p", 1)])
    await world.run_once()
    async with world.database() as connection:
        assert await dead_letters.acknowledge(connection, "u", "ada") == 1
        with pytest.raises(AlreadyDecided, match="acknowledged by ada"):
            await dead_letters.acknowledge(connection, "u", "grace")
        with pytest.raises(NothingParked, match="'nobody'"):
            await dead_letters.acknowledge(connection, "nobody", "ada")
    await world.publish([revoked("1", "u", "p", 2), solved("1", "u", "p", 3), solved("2", "u", "q", 2)])
    await world.run_once()
    quiet = await world.fetch("SELECT submission_id, acknowledged_by FROM parked_events ORDER BY 1")
    assert [tuple(row) for row in quiet] == [("1", "ada"), ("2", None)]
    async with world.database() as connection:
        assert await dead_letters.acknowledge(connection, "u", "ada") == 1
    await world.publish([registered("u", 9)])
    await world.run_once()
    assert await world.differences() == []
    assert await world.value("SELECT count(*) FROM parked_events") == 0


# the commands' errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["retry"], "which dead letters?"),
        (["retry", "1", "--all"], "not both"),
        (["retry", "7"], "there is no dead letter 7"),
        (["show", "7"], "there is no dead letter 7"),
        (["discard", "7", "--why", "x"], "there is no dead letter 7"),
        (["discard", "7", "--why", " "], "who and why"),
        (["discard", "7", "--why", "\x1b[2J"], "control characters"),
        (["acknowledge", "nobody"], "no event is parked for user 'nobody'"),
        (["list", "--parked", "--reason", "not-json"], "leave out --parked"),
    ],
    ids=repr,
)
async def test_an_error_is_one_line_and_a_status(world: World, words: list[str], said: str) -> None:
    status, out, err = await command(world, *words, LOGNAME="ada")
    assert (status, out) == (1, "")
    assert said in err
    assert err.startswith("solve-projector: ")
    assert err.count("\n") == 1


async def test_tables_of_an_older_version_are_an_error_that_says_setup(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("UPDATE solve_counts_migration SET version_num = '0001'")
    status, _, err = await command(world, "list")
    assert (status, err.count("\n")) == (1, 1)
    assert "solve-projector setup" in err


async def test_retry_and_its_summary_from_the_command_line(world: World) -> None:
    await bury(world, [registered("u"), solved("1", "u", "p", 1), solved("2", "v", "p", 1)])
    await bury(world, [solved("3", "u", "p", 1)], value=None)
    status, out, err = await command(world, "retry", "--all")
    assert (status, out) == (0, "2 applied, 1 parked for unknown users, 1 still dead (1 tombstone)\n"), err
