"""The triggers of docs/triggers for judges on MariaDB, through what each judge does to a submission."""

import pytest

from tests.sources.outbox.judges import Judge
from tests.sources.outbox.judging import (
    DMOJ_COUNTS,
    DMOJ_SUBMIT,
    DOMJUDGE_COUNTS,
    DOMJUDGE_ROWS,
    HUSTOJ_COUNTS,
    dmoj_judges,
    domjudge_applies,
    domjudge_cancels,
    domjudge_judges,
    domjudge_rejudges,
    domjudge_submits,
    hustoj_judges,
)
from tests.sources.outbox.triggers import triggered
from tests.world import World

pytestmark = pytest.mark.parametrize("judge", ["mysql"], indirect=True)


async def test_dmoj(world: World, judge: Judge) -> None:
    async with triggered(
        world, judge, "dmoj", DMOJ_COUNTS, "\n        AND p.is_public AND NOT p.is_organization_private"
    ) as dmoj:
        await dmoj.each(
            "INSERT INTO judge_problem VALUES (10, 'a', 1, 0), (11, 'b', 1, 0), (12, 'c', 0, 0), (13, 'd', 1, 1)"
        )
        for number, name in ((1, "ada"), (2, "bob"), (3, "eve")):
            ((made,),) = await judge.run(
                f"INSERT INTO auth_user (username, date_joined) VALUES ('{name}', UTC_TIMESTAMP(6))",
                f"INSERT INTO judge_profile (user_id) VALUES ({number})",
                "SELECT LAST_INSERT_ID()",  # what Django reads: that of its own row, not of the outbox
            )
            assert made == number
        for user, problem in ((1, 10), (1, 10), (1, 11), (1, 12), (2, 10), (2, 11), (3, 10), (2, 13)):
            await dmoj.each(DMOJ_SUBMIT.format(user, problem))
        await dmoj.require_counts({})
        for number, result, points in ((1, "AC", 10), (2, "AC", 10), (3, "WA", 0), (4, "AC", 10), (5, "AC", 10)):
            await dmoj.each(*dmoj_judges(number, result, points))
        for number, points in ((6, 9), (7, 10), (8, 10)):  # accepted cases that are not all
            await dmoj.each(*dmoj_judges(number, "AC", points))
        await dmoj.each("UPDATE judge_submission SET status = 'CE', result = 'CE' WHERE id = 99")
        await dmoj.require_counts({"1": 1, "2": 1, "3": 1})
        await dmoj.each(*dmoj_judges(1, "TLE"), *dmoj_judges(3, "AC"))
        await dmoj.at_one_instant(
            *dmoj_judges(5, "WA"), *dmoj_judges(5, "AC"), *dmoj_judges(6, "AC"), *dmoj_judges(6, "WA")
        )
        await dmoj.each(
            "UPDATE judge_problem SET is_public = 1 WHERE id = 12",
            "UPDATE judge_problem SET is_organization_private = 0 WHERE id = 13",
            "UPDATE judge_profile SET is_unlisted = 1 WHERE id = 3",
            "UPDATE judge_profile SET problem_count = 7",
            "UPDATE auth_user SET username = 'Ada Ł 🎈' WHERE id = 1",
        )
        await dmoj.require_counts({"1": 3, "2": 2})
        assert await world.value("SELECT username FROM users WHERE user_id = '1'") == "Ada Ł 🎈"
        await dmoj.each(
            "DELETE FROM judge_submission WHERE id = 2",
            "UPDATE judge_submission SET is_archived = 1 WHERE id = 4",
            "UPDATE judge_submission SET is_archived = 0 WHERE id = 4",
            "UPDATE judge_submission SET is_archived = 1 WHERE id = 8",
            "UPDATE judge_problem SET is_public = 0 WHERE id = 11",
        )
        await dmoj.require_counts({"1": 1, "2": 1})
        await dmoj.require_whole(in_order=True)


async def test_hustoj(world: World, judge: Judge) -> None:
    async with triggered(world, judge, "hustoj", HUSTOJ_COUNTS) as hustoj:
        await hustoj.each("INSERT INTO users VALUES ('ada', 0, 'N', NOW(), '爱达'), ('bob', 0, 'N', NOW(), '')")
        for user, problem, contest in (
            ("ada", 1000, 0),
            ("ada", 1001, 7),
            ("bob", 1000, 0),
            ("bob", 1001, 0),
            ("ada", 0, 0),
        ):
            await hustoj.each(
                "INSERT INTO solution (problem_id, user_id, nick, in_date, language, contest_id, result) "
                f"VALUES ({problem}, '{user}', '', NOW(), 1, {contest}, 14)"
            )
        for number, result in ((1001, 4), (1002, 6), (1003, 4), (1004, 4), (1005, 4)):
            await hustoj.each(*hustoj_judges(number, result))
        await hustoj.require_counts({"ada": 1, "bob": 2})
        await hustoj.each(
            *hustoj_judges(1002, 4), "UPDATE solution SET result = 1, pass_rate = 0 WHERE problem_id = 1000"
        )
        await hustoj.require_counts({"ada": 1, "bob": 1})
        await hustoj.at_one_instant(*hustoj_judges(1001, 4), *hustoj_judges(1001, 4), *hustoj_judges(1003, 4))
        await hustoj.at_one_instant(*hustoj_judges(1003, 6))
        await hustoj.each(
            "UPDATE solution SET problem_id = 2000 WHERE problem_id = 1000",  # problem_changeid.php
            "UPDATE solution SET user_id = 'ada' WHERE user_id = 'bob' AND result = 4",  # source_give.php
            "UPDATE users SET nick = 'Ada' WHERE user_id = 'ada'",
        )
        await hustoj.require_counts({"ada": 2})
        await hustoj.each(
            "UPDATE solution SET problem_id = 0, result = 13 WHERE problem_id = 2000",  # problem_del.php
            *hustoj_judges(1003, 4),
            "INSERT INTO users VALUES ('eve', 0, 'Y', NOW(), ''), ('may', 0, 'N', NOW(), '')",
            "UPDATE solution SET user_id = 'may' WHERE solution_id = 1004",
            "UPDATE solution SET user_id = 'eve', problem_id = 5 WHERE solution_id = 1003",
            "DELETE FROM solution WHERE solution_id = 1002",
        )
        await hustoj.require_counts({"may": 1})
        await hustoj.require_whole(in_order=True)


async def test_domjudge(world: World, judge: Judge) -> None:
    async with triggered(world, judge, "domjudge", DOMJUDGE_COUNTS) as domjudge:
        await judge.apply(DOMJUDGE_ROWS)
        results = ("correct", "wrong-answer", "correct", "correct", "correct", "correct", "correct")
        sent = ((1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2, 1), (5, 3, 1, 2, "java"), (6, 3, 2), (7, 1, 3, 1))
        for number, result in zip(sent, results, strict=True):
            await domjudge.each(*domjudge_submits(*number), *domjudge_judges(number[0], result))
        await domjudge.each("UPDATE judging SET verified = 1 WHERE submitid = 1")
        await domjudge.require_counts({"1": 2, "2": 2, "3": 2})
        await domjudge.each(
            *domjudge_rejudges(1, 1, "wrong-answer"),
            *domjudge_rejudges(2, 2, "correct"),
            *domjudge_rejudges(3, 3, "timelimit"),
        )
        await domjudge.require_counts({"1": 2, "2": 2, "3": 2})
        await judge.run(*domjudge_applies(1, 1))
        await judge.run(*domjudge_applies(2, 2))
        await domjudge.each(*domjudge_cancels(3, 3))
        await domjudge.require_counts({"1": 2, "2": 2, "3": 2})
        for rejudging, result in ((4, "correct"), (5, "wrong-answer"), (6, "correct")):
            await domjudge.at_one_instant(*domjudge_rejudges(rejudging, 3, result), *domjudge_applies(rejudging, 3))
        await domjudge.each(
            "UPDATE submission SET valid = 0 WHERE submitid IN (1, 2)",  # ignored
            "UPDATE submission SET valid = 0 WHERE submitid = 4",
            "UPDATE submission SET valid = 1 WHERE submitid = 4",
            *domjudge_rejudges(7, 2, "correct"),
            *domjudge_applies(7, 2),
            "UPDATE team SET name = 'Ada', judging_last_started = 1 WHERE teamid = 1",
        )
        await domjudge.require_counts({"1": 1, "2": 2, "3": 2})
        await domjudge.each(
            "DELETE FROM submission WHERE submitid = 6",
            "DELETE FROM language WHERE langid = 'java'",
            "DELETE FROM contestproblem WHERE cid = 2 AND probid = 1",
        )
        await domjudge.require_counts({"1": 1, "2": 1})
        await domjudge.require_whole(in_order=True)
        await domjudge.each("DELETE FROM contest WHERE cid = 1", *domjudge_submits(8, 3, 2), *domjudge_submits(9, 3, 3))
        await domjudge.each(*domjudge_judges(8, "correct"), *domjudge_judges(9, "correct"))
        await domjudge.each(
            "DELETE FROM problem WHERE probid = 3", "UPDATE submission SET valid = 1 WHERE submitid = 2"
        )
        await domjudge.require_counts({"1": 1, "3": 1})
        await domjudge.each("DELETE FROM team WHERE teamid = 1", "UPDATE team SET enabled = 0 WHERE teamid = 3")
        await domjudge.require_counts({})
