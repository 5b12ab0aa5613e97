"""The schema that the migrations give is the committed one: a change of a table is seen in review."""

import asyncpg
import pytest

from tests.projector.store.schema import COMMAND, COMMITTED, dump

CHANGES = (
    "ALTER TABLE users ALTER COLUMN registered_at TYPE timestamptz(0)",
    "ALTER TABLE users ALTER COLUMN problems_solved SET DEFAULT 1",
    "ALTER TABLE users ALTER COLUMN last_solved_at SET NOT NULL",
    "ALTER TABLE users ADD CHECK (problems_solved < 1000000)",
    "ALTER TABLE parked_events DROP CONSTRAINT parked_events_pkey",
    "CREATE INDEX ON verdicts (judged_at)",
    "ALTER TABLE verdicts ADD COLUMN more text",
    'ALTER TABLE verdicts ALTER COLUMN user_id TYPE text COLLATE "POSIX"',
)


async def test_the_migrations_give_the_committed_schema(database_url: str) -> None:
    assert dump(database_url) == COMMITTED.read_text(encoding="utf-8"), f"meant so? Then run: {COMMAND}"


@pytest.mark.parametrize("change", CHANGES)
async def test_the_dump_shows_a_changed_column_default_constraint_or_index(database_url: str, change: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(change)
    await connection.close()
    assert dump(database_url) != COMMITTED.read_text(encoding="utf-8")
