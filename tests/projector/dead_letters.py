"""Dead letters for tests, as an older version left them, and the commands that handle them."""

import json
from typing import Any

from solve_projector.domain.named_users import named_users
from solve_projector.operations import retry_dead_letters as dead_letter_retry
from solve_projector.operations.retry_dead_letters import Retried
from solve_projector.store.dead_letters import Selection
from solve_projector.store.postgresql import connect
from solve_schemas.events import Event
from solve_schemas.record import encode
from solve_schemas.rejection import Reason
from tests.events import at
from tests.world import World

BROKER_TIME_MS = int(at(86_400).timestamp() * 1000)
EVERYTHING = Selection()


async def add_dead_letters(
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
            columns["user_ids"] = named_users(columns["key"], columns["value"])
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
