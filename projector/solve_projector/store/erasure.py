"""Blanks dead letters of erased users, which may hold names (I13); their place and ids stay.

Of letters of a version that did not know whom they name, `read_letters` finds that first. Whoever adds letters or
erases users does so in that transaction. Where two such transactions crossed, or there are more letters than fit into
one, the sweep does.
"""

from collections.abc import Collection

from solve_projector.domain.named_users import named_users
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")

ERASED_AT_ONCE = 1_000
READ_AT_ONCE = 1_000
READ_BYTES = 1024 * 1024  # nothing else runs meanwhile


async def erase_letters(connection: Connection, user_ids: Collection[str], at_most: int | None = ERASED_AT_ONCE) -> int:
    """Blanks letters of those who are erased, in the caller's transaction, after every other lock; how many."""
    if not user_ids:
        return 0
    rows = await connection.fetch(DEAD_LETTERS_SQL["lock_letters_of_erased"], sorted(user_ids), at_most)
    if rows:
        await connection.execute(DEAD_LETTERS_SQL["erase_letters"], [row[0] for row in rows])
    return len(rows)


async def read_letters(connection: Connection) -> int:
    """Finds whom the next letters name, in the caller's transaction; how many, and 0 once all are known."""
    rows = await connection.fetch(DEAD_LETTERS_SQL["unread_letters"], READ_AT_ONCE, READ_BYTES)
    if rows:
        found = [(letter, named_users(key, value)) for letter, key, value in rows]
        await connection.executemany(DEAD_LETTERS_SQL["name_users"], found)
    return len(rows)
