"""The commands under `dead-letters`: records shown whole, and decisions that are kept. (I4, I11)"""

import base64
import json
import re

import asyncpg
import pytest

from solve_projector.errors import AlreadyDecided, DeadLetterUnknown, NothingParked, WhoUnknown
from solve_projector.store import dead_letters
from solve_runtime.system_user import system_user
from solve_schemas.record import encode
from solve_schemas.rejection import Reason
from tests.events import registered, revoked, solved
from tests.projector.dead_letters import add_dead_letters, command, listed
from tests.world import World


async def test_list_filters_and_finds_the_user_in_the_value_or_the_key(world: World) -> None:
    await add_dead_letters(world, [solved("1", "u", "p", 1)], key=b"somebody else")
    await add_dead_letters(world, [solved("2", "v", "p", 1)], partition=1, value=b"{", reason=Reason.NOT_JSON)
    (nobody,) = await add_dead_letters(world, [registered("w")], key=b"\xff", value=None, reason=Reason.TOMBSTONE)
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


async def test_list_parked_has_one_row_a_user_and_with_a_user_one_an_event(world: World) -> None:
    some = [solved("1", "u", "p", 1), solved("2", "v", "q", 2), solved("3", "v", "q", 3)]
    await world.publish(some, 0, source="https://judge.example")
    await world.run_once()
    assert (await command(world, "acknowledge", "u", "--by", "ada", "--why", "a guest"))[0] == 0
    users = {row["user_id"]: row for row in await listed(world, "--parked")}
    assert (users["u"]["events"], users["u"]["acknowledged"], users["u"]["acknowledged_by"]) == (1, 1, "ada")
    assert (users["v"]["events"], users["v"]["acknowledged"], users["v"]["acknowledged_by"]) == (2, 0, None)
    assert [row["submission_id"] for row in await listed(world, "--parked", "--user", "v")] == ["2", "3"]
    (event,) = await listed(world, "--parked", "--user", "u")
    assert (event["acknowledged"]["by"], event["acknowledged"]["why"]) == ("ada", "a guest")
    status, out, _ = await command(world, "list", "--parked", "--user", "u", COLUMNS="160")
    assert (status, "by ada a guest" in out) == (0, True)
    assert re.search(r"0:0 +https://judge\.example", out)
    status, _, err = await command(world, "list", "--parked", "--limit", "1")
    assert (status, "there are more than these 1" in err) == (0, True)


async def test_at_80_columns_both_lists_show_whole_ids(world: World) -> None:
    name = "a-user-whose-id-is-as-long-as-an-email-address@judge.example.org"
    await world.publish([solved("1", name, "p", 1), solved("2", name, "q", 2)])
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("ALTER TABLE dead_letters ALTER dead_letter_id RESTART 1234567890123456")
    await add_dead_letters(
        world, [registered("u")], detail="a reason that is longer than the line has room for, as most are"
    )
    for words, wanted in ((("list",), "1234567890123456"), (("list", "--parked"), name)):
        status, out, err = await command(world, *words, COLUMNS="80")
        assert (status, err) == (0, "")
        assert wanted in out
        assert "…" not in out
    _, out, _ = await command(world, "list", COLUMNS="80")
    assert all(len(line) <= 80 for line in out.splitlines())


async def test_show_gives_hostile_bytes_without_letting_them_steer_the_terminal(world: World) -> None:
    hostile = b'\x1b[2J\xff\x00\xc2\x9b31m [bold]"\xe2\x80\xae\xc3\xa9' + b"x" * 5_000
    (number,) = await add_dead_letters(
        world, [registered("u")], value=hostile, key=b"\x1b]0;title\x07", detail="[red]\x1b[31m"
    )
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
    (number,) = await add_dead_letters(world, [registered("é")], value=b"\xff\x00")
    shown = json.loads((await command(world, "show", str(number), "--json"))[1])
    assert shown["value"] == {"encoding": "base64", "data": base64.b64encode(b"\xff\x00").decode()}
    assert shown["key"] == {"encoding": "utf-8", "data": "é"}
    assert {"name": "ce_type", "value": {"encoding": "utf-8", "data": "user.registered.v1"}} in shown["headers"]


async def test_discard_keeps_the_record_with_who_when_and_why(world: World) -> None:
    first, second = await add_dead_letters(world, [registered("u"), registered("v")])
    status, out, err = await command(world, "discard", str(first), "--why", "a test", LOGNAME="grace")
    who = f"{system_user()} (claims LOGNAME grace)"
    assert (status, out) == (0, f"1 discarded by {who}\n"), err
    row = dict((await world.fetch("SELECT * FROM dead_letters WHERE dead_letter_id = $1", first))[0])
    assert (row["discarded_by"], row["discarded_why"], row["value"]) == (
        who,
        "a test",
        encode(registered("u")).value,
    )
    assert row["discarded_at"] is not None
    async with world.database() as connection:
        with pytest.raises(AlreadyDecided, match=r"was discarded by .*grace\) at .*: a test"):
            await dead_letters.discard(connection, [second, first], "ada", "again")
        with pytest.raises(DeadLetterUnknown, match="no dead letter 999"):
            await dead_letters.discard(connection, [second, 999], "ada", "again")
        with pytest.raises(WhoUnknown):
            await dead_letters.discard(connection, [second], "ada", " ")
    assert [one["id"] for one in await listed(world)] == [second]


async def test_a_decision_is_kept_whole_or_not_at_all(world: World) -> None:
    await add_dead_letters(world, [registered("u")])
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
        with pytest.raises(NothingParked, match="user nobody"):
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["retry"], "which dead letters?"),
        (["retry", "1", "--all"], "not both"),
        (["retry", "7"], "there is no dead letter 7"),
        (["show", "7"], "there is no dead letter 7"),
        (["show", "7"], "(solve-projector dead-letters list --all)"),
        (["discard", "7", "--why", "x"], "there is no dead letter 7"),
        (["discard", "7", "--why", " "], "say who you are and why (--by and --why)"),
        (["discard", "7", "--why", "\x1b[2J"], "control characters"),
        (["acknowledge", "nobody"], "no event is parked for user nobody"),
        (["acknowledge", "nobody"], "(solve-projector dead-letters list --parked)"),
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
    await add_dead_letters(world, [registered("u"), solved("1", "u", "p", 1), solved("2", "v", "p", 1)])
    await add_dead_letters(world, [solved("3", "u", "p", 1)], value=None)
    status, out, err = await command(world, "retry", "--all")
    assert (status, out) == (1, "2 applied, 1 parked for unknown users, 1 still dead (1 tombstone)\n"), err
    status, out, _ = await command(world, "retry", "--reason", "unknown-type")
    assert (status, out) == (0, "0 applied, 0 parked for unknown users, 0 still dead\n")
