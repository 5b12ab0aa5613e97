"""A judge with the public tables of one that exists, the triggers of docs/triggers on them, and its own counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from solve_sources.tables.mapping import read_mapping
from solve_sources.tables.problem_sessions import Import, source_of
from solve_sources.tables.settings import SourceSettings
from tests.producer.topics import records_of
from tests.sources.outbox import public_tables
from tests.sources.outbox.judges import Judge
from tests.sources.outbox.relaying import relay_once
from tests.sources.tables.importing import imported
from tests.waiting import until
from tests.world import World

DOCS = Path(__file__).parents[3] / "docs"
SHOWN = "SELECT user_id, problems_solved FROM users WHERE problems_solved > 0 AND listed AND NOT removed"
ONE_INSTANT = "SET timestamp = 1772366400"  # of the session, in MySQL's words


@dataclass(slots=True)
class Triggered:
    """One judge; `oracle` is a query of its own tables: each user on the board, and how many problems they solved."""

    world: World
    judge: Judge
    name: str
    oracle: str
    left_out: str = ""  # of the mapping, where the triggers say it otherwise
    published: int = 0

    async def each(self, *statements: str) -> None:
        """Each in a transaction of its own, as most judges do."""
        for statement in statements:
            await self.judge.run(statement)

    async def at_one_instant(self, *statements: str) -> None:
        """As on a server whose clock stands still."""
        await self.judge.run(ONE_INSTANT, *statements, "SET timestamp = DEFAULT")

    async def relayed(self) -> int:
        """Relays what waits; how many events."""
        done = await relay_once(self.world, self.judge, source=source_of(*self._mapped()))
        assert done.refused == 0, await self.judge.run("SELECT reason, payload FROM solve_outbox")
        self.published += done.published
        return done.published

    async def require_counts(self, expected: dict[str, int] | None = None) -> None:
        """Relays, and compares what counts with the oracle."""
        await self.relayed()
        await until(self._all_applied, "what was relayed to be applied")
        rows = await self.world.fetch(SHOWN)
        truth = {str(user): count for user, count in await self.judge.run(self.oracle)}
        assert dict(rows) == truth
        assert expected is None or truth == expected

    async def require_whole(self, *, in_order: bool = False) -> None:
        """An import of the same source has nothing to say, and each verdict had a greater revision than the last.

        `in_order`: nothing changed at the same time, so it is greater than that of all before it of the same user.
        """
        sources = {row[0] for row in await self.world.fetch("SELECT DISTINCT source FROM verdicts")}
        assert sources <= {source_of(*self._mapped())}
        done = await imported(self.world, *self._mapped())
        assert (done.published, done.taken_back, done.invalid) == (0, 0, 0)
        last: dict[str, int] = {}
        for event in await records_of(self.world):
            if "submission_id" in event:
                which = event["user_id"] if in_order else event["submission_id"]
                assert event["revision"] > last.get(which, 0)
                last[which] = event["revision"]

    async def _all_applied(self) -> bool:
        """Of a problem that is withdrawn or restored, the people it touches are counted anew afterwards."""
        applied = await self.world.value("SELECT coalesce(sum(next_offset), 0) FROM partition_offsets")
        return applied == self.published and not await self.world.value("SELECT count(*) FROM problem_recounts")

    def _mapped(self) -> tuple[Import, SourceSettings]:
        said = read_mapping(DOCS / "mappings" / f"{self.name}.toml")
        attempts = said.attempts
        if self.left_out:
            assert attempts.query
            assert self.left_out in attempts.query
            attempts = type(attempts)(query=attempts.query.replace(self.left_out, ""))
        settings = SourceSettings(source_database_url=SecretStr(self.judge.url))
        return Import(attempts, said.users, said.times(), prefix=said.prefix), settings


@asynccontextmanager
async def triggered(world: World, judge: Judge, name: str, oracle: str, left_out: str = "") -> AsyncIterator[Triggered]:
    """The public tables and the triggers, which change nothing when they are applied again; a projector meanwhile."""
    await judge.run("DROP TABLE submissions")
    await judge.apply(getattr(public_tables, name.upper()))
    for _ in range(2):
        await judge.apply((DOCS / "triggers" / f"{name}.sql").read_text())
    async with world.running():
        yield Triggered(world, judge, name, oracle, left_out)
