"""All triggers of docs/triggers, and many changes of the same submissions at the same time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pymysql
import pytest

from solve_sources.outbox.ddl import Dialect
from tests.sources.outbox.judges import Judge
from tests.sources.outbox.judging import (
    CMS_COUNTS,
    CMS_ROWS,
    DOMJUDGE_COUNTS,
    DOMJUDGE_ROWS,
    HUSTOJ_COUNTS,
    QINGDAOU_COUNTS,
    cms_scores,
    domjudge_applies,
    domjudge_judges,
    domjudge_rejudges,
    domjudge_submits,
    hustoj_judges,
    qingdaou_judges,
)
from tests.sources.outbox.triggers import DOCS, triggered
from tests.waiting import until
from tests.world import World

DEADLOCKS = (asyncpg.DeadlockDetectedError, pymysql.err.OperationalError)  # undone whole, so with their events
AT_ONCE, CHANGES = 6, 20


async def at_once(judge: Judge, change: Callable[[random.Random], tuple[str, ...]]) -> None:
    """Sessions that change what they like, each change one transaction."""

    async def session(number: int) -> None:
        chance = random.Random(number)
        for _ in range(CHANGES):
            with suppress(*DEADLOCKS):
                await judge.run(*change(chance))

    await asyncio.gather(*(session(number) for number in range(AT_ONCE)))


async def hustoj_at_once(judge: Judge) -> None:
    await judge.run("INSERT INTO users VALUES ('ada', 0, 'N', NOW(), '')")
    for number in range(4):
        await judge.run(f"INSERT INTO solution (problem_id, user_id, in_date) VALUES ({1000 + number}, 'ada', NOW())")
    await at_once(judge, lambda chance: hustoj_judges(chance.randint(1001, 1004), chance.choice((4, 6))))


async def domjudge_at_once(judge: Judge) -> None:
    await judge.apply(DOMJUDGE_ROWS)
    for number, problem in ((1, 1), (2, 2), (3, 3)):
        await judge.run(*domjudge_submits(number, 1, problem), *domjudge_judges(number, "correct"))

    def change(chance: random.Random) -> tuple[str, ...]:
        number, rejudging = chance.randint(1, 3), chance.randint(1, 10**9)
        if chance.random() < 0.5:
            return (f"UPDATE submission SET valid = {chance.randint(0, 1)} WHERE submitid = {number}",)
        result = chance.choice(("correct", "wrong-answer"))
        return domjudge_rejudges(rejudging, number, result) + domjudge_applies(rejudging, number)

    await at_once(judge, change)


async def qingdaou_at_once(judge: Judge) -> None:
    await judge.run("""INSERT INTO "user" (username) VALUES ('ada')""")
    for number in range(1, 5):
        await judge.run(
            f"INSERT INTO problem (_id) VALUES ('p{number}')",
            f"INSERT INTO submission (id, problem_id, user_id) VALUES ('{number}', {number}, 1)",
        )
    await at_once(judge, lambda chance: qingdaou_judges(str(chance.randint(1, 4)), chance.choice((0, -1))))


async def cms_at_once(judge: Judge) -> None:
    await judge.apply(CMS_ROWS)
    for number, task in ((1, 1), (2, 2), (3, 1)):
        await judge.run(f"INSERT INTO submissions (participation_id, task_id) VALUES (1, {task})")
        await judge.run(*cms_scores(number, 100, task))

    def change(chance: random.Random) -> tuple[str, ...]:
        number, kind = chance.randint(1, 3), chance.random()
        if kind < 0.1:
            return (f"UPDATE participations SET hidden = {chance.random() < 0.3} WHERE id = 1",)
        if kind < 0.3:
            return (f"UPDATE tasks SET active_dataset_id = {chance.choice((1, 4))} WHERE id = 1",)
        if kind < 0.4:
            return (f"UPDATE submissions SET official = {chance.random() < 0.7} WHERE id = {number}",)
        return cms_scores(number, chance.choice((40, 100)), 2 if number == 2 else chance.choice((1, 4)))

    await at_once(judge, change)


@pytest.mark.parametrize(
    ("judge", "name", "oracle", "change"),
    [
        ("mysql", "hustoj", HUSTOJ_COUNTS, hustoj_at_once),
        ("mysql", "domjudge", DOMJUDGE_COUNTS, domjudge_at_once),
        ("postgresql", "qingdaou", QINGDAOU_COUNTS, qingdaou_at_once),
        ("postgresql", "cms", CMS_COUNTS, cms_at_once),
    ],
    indirect=["judge"],
)
async def test_changes_at_the_same_time_leave_what_the_judge_has(
    world: World, judge: Judge, name: str, oracle: str, change: Callable[[Judge], Awaitable[None]]
) -> None:
    async with triggered(world, judge, name, oracle) as made:
        await change(judge)
        await made.require_counts()
        assert made.published > AT_ONCE
        await made.require_whole()


DOMJUDGE_ENDS = domjudge_judges(1, "correct")
DOMJUDGE_IGNORES = ("UPDATE submission SET valid = 0 WHERE submitid = 1",)
DOMJUDGE_COUNTS_AGAIN = ("UPDATE submission SET valid = 1 WHERE submitid = 1",)
CMS_SCORES = cms_scores(1, 100, 1)
CMS_HIDES = ("UPDATE participations SET hidden = true WHERE id = 1",)
CMS_ACTIVATES = ("UPDATE tasks SET active_dataset_id = 4 WHERE id = 1",)
CMS_SCORES_THERE = cms_scores(1, 100, 4)


@pytest.mark.parametrize(
    ("judge", "name", "before", "first", "second"),
    [
        ("mysql", "domjudge", (), DOMJUDGE_IGNORES, DOMJUDGE_ENDS),
        ("mysql", "domjudge", (), DOMJUDGE_ENDS, DOMJUDGE_IGNORES),
        ("mysql", "domjudge", DOMJUDGE_IGNORES, DOMJUDGE_ENDS, DOMJUDGE_COUNTS_AGAIN),
        ("postgresql", "cms", (), CMS_HIDES, CMS_SCORES),
        ("postgresql", "cms", (), CMS_SCORES, CMS_HIDES),
        ("postgresql", "cms", (), CMS_SCORES_THERE, CMS_ACTIVATES),
        ("postgresql", "cms", (), CMS_ACTIVATES, CMS_SCORES_THERE),
        ("postgresql", "cms", (), CMS_ACTIVATES, CMS_SCORES),
        ("postgresql", "cms", CMS_SCORES_THERE, CMS_HIDES, CMS_ACTIVATES),
    ],
    indirect=["judge"],
)
async def test_of_two_changes_that_decide_together_one_waits(
    world: World, judge: Judge, name: str, before: tuple[str, ...], first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    oracle, rows, submits = PAIRS[name]
    async with triggered(world, judge, name, oracle) as made:
        await judge.apply(rows)
        await made.each(*submits, *before)
        async with judge.session() as run:
            for statement in first:
                await run(statement)
            later = asyncio.create_task(judge.run(*second))
            await until(lambda: _waits_or_is_done(judge, later), "the second change to wait")
        await later
        await made.require_counts()
        await made.require_whole()


PAIRS = {
    "domjudge": (DOMJUDGE_COUNTS, DOMJUDGE_ROWS, domjudge_submits(1, 1, 1)),
    "cms": (CMS_COUNTS, CMS_ROWS, ("INSERT INTO submissions (participation_id, task_id) VALUES (1, 1)",)),
}


async def _waits_or_is_done(judge: Judge, task: asyncio.Task[Any]) -> bool:
    waiting = (
        "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        if judge.dialect is Dialect.MYSQL
        else "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return task.done() or (await judge.run(waiting))[0][0] > 0


def test_all_triggers_of_the_docs_are_tried() -> None:
    files = sorted((DOCS / "triggers").iterdir())
    assert [file.stem for file in files] == ["cms", "dmoj", "domjudge", "hustoj", "qingdaou"]
    assert len({_shared(file) for file in files if "DELIMITER" in file.read_text()}) == 1


def _shared(file: Path) -> str:
    """What is the same for each judge on MariaDB."""
    text = file.read_text()
    return text[text.index("DELIMITER //") : text.index("user.removed.v1")]
