"""The triggers of docs/triggers for judges on PostgreSQL, through what each judge does to a submission."""

import pytest

from tests.sources.outbox.judges import Judge
from tests.sources.outbox.judging import (
    CMS_COUNTS,
    CMS_ROWS,
    QINGDAOU_COUNTS,
    cms_scores,
    qingdaou_judges,
)
from tests.sources.outbox.triggers import triggered
from tests.world import World

pytestmark = pytest.mark.parametrize("judge", ["postgresql"], indirect=True)


async def test_qingdaou(world: World, judge: Judge) -> None:
    async with triggered(world, judge, "qingdaou", QINGDAOU_COUNTS) as qingdaou:
        await qingdaou.each(
            """INSERT INTO "user" (username) VALUES ('ada'), ('bob'), ('o''brien "x"')""",
            "INSERT INTO problem (_id, contest_id) VALUES ('A', NULL), ('B', NULL), ('C', 9)",
        )
        sent = (("f0", 1, 1), ("f1", 1, 2), ("f2", 1, 3), ("f3", 2, 1), ("f4", 3, 1), ("f5", 2, 2))
        for (number, user, problem), result in zip(sent, (0, -1, 0, 8, 0, 0), strict=True):
            contest = 9 if problem == 3 else "NULL"
            await qingdaou.each(
                "INSERT INTO submission (id, contest_id, problem_id, user_id) "
                f"VALUES ('{number}', {contest}, {problem}, {user})",
                *qingdaou_judges(number, result),
            )
        await qingdaou.require_counts({"1": 2, "2": 1, "3": 1})
        await qingdaou.each(*qingdaou_judges("f0", 4), *qingdaou_judges("f1", 0), *qingdaou_judges("f3", 0))
        await judge.run(*qingdaou_judges("f5", 0), *qingdaou_judges("f5", -1))  # in one transaction: now() stands still
        await qingdaou.each(
            """UPDATE "user" SET username = 'Ada' WHERE id = 1""",
            """UPDATE "user" SET is_disabled = true WHERE id = 3""",
        )
        await qingdaou.require_counts({"1": 2, "2": 1})
        await qingdaou.each("DELETE FROM submission WHERE id = 'f2'", "UPDATE submission SET shared = true")
        await qingdaou.require_counts({"1": 1, "2": 1})
        await qingdaou.require_whole(in_order=True)
        await qingdaou.each("""DELETE FROM "user" WHERE id = 2""")
        await qingdaou.require_counts({"1": 1})


async def test_cms(world: World, judge: Judge) -> None:
    async with triggered(world, judge, "cms", CMS_COUNTS) as cms:
        await judge.apply(CMS_ROWS)
        sent = ((1, 1, 100), (1, 2, 70.5), (1, 3, 100), (2, 1, 100), (2, 2, 100), (3, 1, 0), (3, 3, 100), (1, 1, 100))
        for number, (participation, task, score) in enumerate(sent, 1):
            await cms.each(
                "INSERT INTO submissions (participation_id, task_id, language) "
                f"VALUES ({participation}, {task}, 'C++17')",
                *cms_scores(number, score, task),
            )
        await cms.require_counts({"1": 2, "2": 2, "3": 1})
        await cms.each(*cms_scores(1, 40, 1), *cms_scores(2, 100, 2), *cms_scores(4, 100, 1))
        await judge.run(*cms_scores(5, 100, 2), *cms_scores(5, 99.9, 2))  # in one transaction: now() stands still
        await cms.each("UPDATE submissions SET official = false WHERE id = 3")
        await cms.require_counts({"1": 2, "2": 1, "3": 1})
        for number, score in ((1, 100), (4, 30), (6, 100)):  # the other dataset of the first task; not active yet
            await cms.each(*cms_scores(number, score, 4))
        await cms.require_counts({"1": 2, "2": 1, "3": 1})
        await cms.each(
            "UPDATE tasks SET active_dataset_id = 4 WHERE id = 1",
            "UPDATE participations SET hidden = true WHERE id = 2",
            "UPDATE participations SET unrestricted = true",
            "UPDATE submissions SET official = true WHERE id = 3",
            "UPDATE users SET last_name = 'Lovelace' WHERE id = 1",
            "DELETE FROM datasets WHERE id = 1",
        )
        await cms.require_counts({"1": 3, "3": 2})
        assert await world.value("SELECT username FROM users WHERE user_id = '1'") == "Ada Lovelace"
        await cms.each(
            *cms_scores(4, 100, 4),
            "UPDATE participations SET hidden = false WHERE id = 2",
            "DELETE FROM submissions WHERE id = 3",
        )
        await cms.require_counts({"1": 2, "2": 1, "3": 2})
        await cms.require_whole(in_order=True)
        await cms.each("DELETE FROM datasets WHERE id = 3", "DELETE FROM participations WHERE id = 3")
        await cms.require_counts({"1": 2, "2": 1})
        await cms.each("DELETE FROM tasks WHERE id = 2", "DELETE FROM users WHERE id = 2")
        await cms.require_counts({"1": 1})
        await cms.each("DELETE FROM contests")
        await cms.require_counts({})
