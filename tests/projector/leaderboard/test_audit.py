"""The progress that an audit of the leaderboard reports."""

from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.replay.replaying import ReplayOptions, replay
from tests.events import registered, solved
from tests.world import World

CHECKING, REPAIRING = "checking leaderboard", "repairing leaderboard"
ALL_PASSES = [(done, 4) for done in range(5)]


async def steps_of(world: World, *, dry_run: bool) -> list[tuple[str, int, int]]:
    """What a replay reports."""
    said: list[tuple[str, int, int]] = []
    options = ReplayOptions(dry_run=dry_run)
    await replay(world.connection, world.settings, options, lambda *step: said.append(step))
    return said


def passes(steps: list[tuple[str, int, int]], phase: str) -> list[tuple[int, int]]:
    """How far one phase was, each time."""
    return [(done, total) for name, done, total in steps if name == phase]


async def test_each_pass_over_a_differing_leaderboard_is_reported(world: World) -> None:
    await world.publish([registered("a"), registered("b"), solved("1", "a", "p", 1), solved("2", "b", "p", 2)])
    await world.run_once()
    right = await steps_of(world, dry_run=True)
    assert passes(right, CHECKING) == [(0, 4), (4, 4)]
    async with open_leaderboard(world.settings, world.connection.topic) as board:
        state = await board.state(await world.value("SELECT epoch FROM leaderboard_epoch"))
        async with board._redis.session() as redis:
            await redis.zadd(f"{{{world.settings.leaderboard_prefix}}}:{state.current}:board", {"a": -1})
    wrong = await steps_of(world, dry_run=True)
    assert wrong[0] == (CHECKING, 0, 4)  # it takes longest, so it is reported before it starts
    assert passes(wrong, CHECKING) == ALL_PASSES
    repaired = await steps_of(world, dry_run=False)
    assert (passes(repaired, CHECKING), passes(repaired, REPAIRING)) == (ALL_PASSES, ALL_PASSES)
    assert await world.differences() == []
