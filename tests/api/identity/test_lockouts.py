"""Lockouts after wrong passwords, compared with a model of a few lines in any order of events."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from solve_api.database import open_request_pool
from solve_api.identity.lockouts import clear, may_try, unlock
from tests.api.served import settings_of
from tests.world import World

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = {"api_lockout_failures": 3, "api_lockout_s": 100}
# a name, what is done with it, and how many seconds pass before
Step = tuple[str, str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "ada", "ada", "bob"]),
        st.sampled_from([*["try"] * 8, "clear", "unlock"]),
        st.sampled_from([0, 0, 0, 1, 1, 40, 99, 100, 101]),
    ),
    min_size=3,
    max_size=20,
)
LOCKED: list[Step] = [("ada", "try", 0)] * 3


class Plain:
    """The rule: three in a row lock a name for 100 s; what is older than that is forgotten."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.locked_until: dict[str, int] = {}

    def do(self, name: str, what: str, now: int) -> bool | None:
        """What it answers."""
        locked = now < self.locked_until.get(name, 0)
        if what != "try":
            for kept in (self.failures, self.last, self.locked_until):
                kept.pop(name, None)
            return locked if what == "unlock" else None
        if locked:
            return False
        if name in self.locked_until or self.last.get(name, now) <= now - 100:
            self.failures[name] = 0
            self.locked_until.pop(name, None)
        self.failures[name] = self.failures.get(name, 0) + 1
        self.last[name] = now
        if self.failures[name] >= 3:
            self.locked_until[name] = now + 100
        return True


@hypothesis_settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(
    steps=[*LOCKED, ("ada", "try", 0), ("bob", "try", 0), ("ada", "try", 99), ("ada", "try", 1), ("ada", "try", 0)]
)
@example(steps=[*LOCKED, ("ada", "unlock", 99), *LOCKED, ("ada", "unlock", 100), *LOCKED, ("ada", "clear", 0), *LOCKED])
@example(steps=[("ada", "try", 0), ("ada", "try", 99), ("ada", "try", 100), ("ada", "try", 0), ("ada", "try", 0)])
async def test_names_are_locked_as_a_plain_model_says(world: World, steps: list[Step]) -> None:
    limits = settings_of(world, **LIMITS)
    plain, now = Plain(), 0
    async with world.database() as database:
        await database.execute("DELETE FROM admin_lockouts")
        for name, what, passed in steps:
            now += passed
            at = BEGIN + timedelta(seconds=now)
            found: bool | None = None
            if what == "try":
                found = await may_try(database, limits, name, at)
            elif what == "unlock":
                found = await unlock(database, name, at)
            else:
                await clear(database, name)
            assert found == plain.do(name, what, now), (name, what, now)


@pytest.mark.parametrize("failures", [1, 5])
async def test_guesses_at_once_are_counted_one_by_one(world: World, failures: int) -> None:
    limits = settings_of(world, api_lockout_failures=failures)
    async with open_request_pool(world.settings, 8) as pool:
        tried = await asyncio.gather(*(may_try(pool, limits, "ada", BEGIN) for _ in range(50)))
        assert sum(tried) == failures


async def test_guessing_at_one_name_locks_no_other(world: World) -> None:
    limits = settings_of(world, **LIMITS)
    async with world.database() as database:
        assert [await may_try(database, limits, "ada", BEGIN) for _ in range(4)] == [True, True, True, False]
        assert await may_try(database, limits, "bob", BEGIN)


async def test_who_goes_on_guessing_does_not_prolong_the_lock(world: World) -> None:
    limits = settings_of(world, **LIMITS)
    async with world.database() as database:
        at = [BEGIN + timedelta(seconds=second) for second in (0, 0, 0, 50, 99, 100)]
        assert [await may_try(database, limits, "ada", one) for one in at] == [True, True, True, False, False, True]


async def test_names_that_nobody_has_fill_no_table(world: World) -> None:
    limits = settings_of(world, **LIMITS)
    async with world.database() as database:
        for number in range(30):
            await may_try(database, limits, f"nobody-{number}", BEGIN)
        assert await database.fetchval("SELECT count(*) FROM admin_lockouts") == 30
        await may_try(database, limits, "ada", BEGIN + timedelta(seconds=100))
        assert await database.fetchval("SELECT count(*) FROM admin_lockouts") == 1
