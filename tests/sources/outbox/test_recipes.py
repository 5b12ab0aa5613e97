"""The recipes of docs/outbox.md, as they are printed there, on a judge's own tables."""

import re
from pathlib import Path

from solve_sources.outbox.ddl import Dialect
from tests.sources.commands import counts
from tests.sources.outbox.judges import Judge
from tests.sources.outbox.relaying import relay_once
from tests.world import World

GUIDE = Path(__file__).parents[3] / "docs" / "outbox.md"
TABLES = (
    "DROP TABLE submissions",
    "CREATE TABLE submissions (id int PRIMARY KEY, user_id int, problem_id int, verdict varchar(9))",
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(40))",
)
ORACLE = "SELECT user_id, count(DISTINCT problem_id) FROM submissions WHERE verdict = 'AC' GROUP BY user_id"


def triggers(dialect: Dialect) -> str:
    """The block that makes them."""
    blocks = [one for one in re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "TRIGGER" in one]
    (found,) = [one for one in blocks if ("plpgsql" in one) == (dialect is Dialect.POSTGRESQL)]
    return found


async def test_triggers_fill_the_outbox_on_verdicts_rejudgings_and_deletions(world: World, judge: Judge) -> None:
    await judge.run(*TABLES)
    for _ in range(2):  # applied again, they change nothing
        await judge.apply(triggers(judge.dialect))
    await judge.run(
        "INSERT INTO users VALUES (1, 'Ada'), (2, 'O''Brien \"x\" \\ é')", "UPDATE users SET name = 'Bob' WHERE id = 1"
    )
    verdicts = "(1, 1, 1, 'AC'), (2, 1, 2, 'WA'), (3, 1, 3, NULL), (4, 2, 1, 'AC'), (5, 2, 2, 'AC')"
    await judge.run(f"INSERT INTO submissions VALUES {verdicts}")
    assert (await relay_once(world, judge)).published == 6
    await judge.run("UPDATE submissions SET verdict = 'WA' WHERE id = 1")
    await judge.run("UPDATE submissions SET verdict = 'AC' WHERE id IN (2, 3)")
    await judge.run("UPDATE submissions SET verdict = 'AC' WHERE id = 1")
    await judge.run("UPDATE submissions SET verdict = NULL WHERE id = 3")
    await judge.run("UPDATE submissions SET problem_id = problem_id")
    await judge.run("DELETE FROM submissions WHERE id = 5")
    done = await relay_once(world, judge)
    assert (done.published, done.refused) == (6, 0)
    assert await counts(world) == {str(user): count for user, count in await judge.run(ORACLE)} == {"1": 2, "2": 1}
    names = await world.fetch("SELECT username FROM users ORDER BY user_id")
    assert names[0][0] == "Bob"
    assert names[1][0].startswith('O\'Brien "x"')
