"""No record stops a partition: not by its size, not by its bytes (I4); its neighbours count, also in a replay (I7)."""

import asyncio
import sys

import pytest

from solve_schemas.record import encode
from solve_schemas.rejection import Reason
from tests.events import registered, solved
from tests.projector.log.batches import append, batch, bomb, with_bad_name
from tests.world import World

# KiB of address space; the interpreter and its libraries take most of it
LIMIT = "ulimit -v 1100000; exec "


async def run_limited(world: World, *words: str) -> str:
    """A command under the memory limit of a small container."""
    command = f"{LIMIT}{sys.executable} -m solve_projector {' '.join(words)}"
    process = await asyncio.create_subprocess_shell(
        command, env=world.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.parametrize("size", [250_000_000])
async def test_a_record_that_decompresses_to_hundreds_of_megabytes_becomes_a_dead_letter(
    world: World, size: int
) -> None:
    first, last = encode(solved("s", "u", "p", 1)).value, encode(solved("t", "u", "q", 2)).value
    await world.publish([registered("u")], partition=0)
    await append(world, bomb(size, first, last))
    await run_limited(world, "run", "--once")
    assert await world.value("SELECT problems_solved FROM users") == 2
    row = dict((await world.fetch('SELECT reason, detail, "offset", key, value FROM dead_letters'))[0])
    assert (row["reason"], row["offset"], row["key"]) == (Reason.TOO_LARGE, 2, b"u")
    assert f"{size:,}"[:4] in row["detail"]
    assert row["value"][:9] == b"a" * 9
    assert "0 users would be updated" in await run_limited(world, "replay", "--dry-run")


async def test_a_header_whose_name_is_no_utf8_becomes_a_dead_letter_and_its_neighbours_do_not(world: World) -> None:
    await world.publish([registered("u"), solved("s", "u", "p", 1)], partition=0)
    await append(world, with_bad_name("gzip"), batch([(b"u", encode(solved("t", "u", "q", 2)).value, [])]))
    await world.run_once()
    assert await world.value("SELECT problems_solved FROM users") == 2
    letters = await world.fetch('SELECT reason, "offset", header_names FROM dead_letters ORDER BY "offset"')
    assert [(row[0], row[1]) for row in letters] == [
        (Reason.INVALID_EVENT, 2), (Reason.UNREADABLE, 3), (Reason.INVALID_EVENT, 4),
    ]  # fmt: skip
    assert r"\xff\xfename" in letters[1][2]
    assert "0 users would be updated" in await run_limited(world, "replay", "--dry-run")


async def test_batches_that_are_large_by_their_number_of_records_are_read_in_pieces(world: World) -> None:
    events = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(60))]
    padded = [encode(event).value[:-1] + b', "log": "' + b"x" * 900_000 + b'"}' for event in events]
    types = [[("ce_type", event.type_name.encode())] for event in events]
    records = [(b"u", value, headers) for value, headers in zip(padded, types, strict=True)]
    await append(world, batch(records, "zstd"))
    await run_limited(world, "run", "--once")
    assert await world.value("SELECT problems_solved FROM users") == 60
    assert await world.differences(events) == []
