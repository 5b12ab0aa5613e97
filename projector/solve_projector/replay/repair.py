"""How do drifted users become what the log says while projection goes on? Chunk by chunk, under its locks (I8, I11).

Each chunk is one transaction: the offset rows first, so that PostgreSQL stands still at known offsets; the log's tail
up to them is folded into what is known of the users under repair; then their rows become exactly that. Nothing newer
is undone, since nothing newer is applied yet, and projection goes on with the commit.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from solve_projector.domain.rule import Registration, Verdict, VerdictKey, fold_verdict
from solve_projector.log.scan import LogScan
from solve_projector.replay.comparison import LetterDrift
from solve_projector.replay.staging import stage
from solve_projector.replay.targets import Targets
from solve_projector.store.counts import verdict_columns
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, Failure, classify
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")
REPAIR_SQL = queries("solve_projector.replay", "repair")
USERS_SQL = queries("solve_projector.store", "users")
PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")

CHUNK_USERS = 100
ATTEMPTS = 8
# Longer than a batch takes; who waited may be somebody else than a projector, or gone.
LET_PASS_S = 2.0
LET_PASS_POLL_S = 0.002

log = structlog.get_logger()


class Repair:
    """Repairs the users that the comparison named."""

    def __init__(
        self, connection: Connection, scan: LogScan, topic: str, targets: Targets, transaction_timeout_ms: int
    ) -> None:
        self._connection = connection
        # a replay that freezes must not hold up projection for longer (I3)
        self._limit = f"SET LOCAL transaction_timeout = {transaction_timeout_ms:d}"
        self._scan = scan
        self._topic = topic
        self._targets = targets
        self._staged: Mapping[int, int] = dict(targets.offsets)
        self.refused: list[str] = []
        self.longest_chunk_s = 0.0

    async def run(self, on_progress: Callable[[int, int], None]) -> None:
        """Repairs all; users whom PostgreSQL refuses are left as they were, in `refused`. Raises asyncpg's errors."""
        await self._connection.execute(REPAIR_SQL["prepare_repairs"])
        total = await self._connection.fetchval("SELECT count(*) FROM solve_replay_repairs")
        done, last = 0, ""
        on_progress(0, total)
        while user_ids := [
            row[0]
            for row in await self._connection.fetch(
                "SELECT user_id FROM solve_replay_repairs WHERE user_id > $1 ORDER BY user_id LIMIT $2",
                last,
                CHUNK_USERS,
            )
        ]:
            await self._repair(user_ids)
            done, last = done + len(user_ids), user_ids[-1]
            on_progress(done, total)

    async def finish(self, letters: LetterDrift) -> None:
        """Dead letters, and offsets that somebody moved."""
        connection = self._connection
        async with connection.transaction():
            await connection.execute(self._limit)
            await self._lock_offsets()
            for moved in self._targets.moved:
                await connection.execute(
                    "UPDATE partition_offsets SET next_offset = $4, updated_at = now() "
                    "WHERE topic = $1 AND partition = $2 AND next_offset = $3",
                    self._topic, moved["partition"], moved["found"], moved["restored"],
                )  # fmt: skip
            if letters.missing:
                await connection.execute(REPAIR_SQL["insert_letters"], self._topic)
            if letters.extra:
                partitions, offsets = zip(*letters.extra, strict=True)
                await connection.execute(REPAIR_SQL["delete_letters"], self._topic, partitions, offsets, self.refused)

    async def _repair(self, user_ids: Sequence[str]) -> None:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(lambda error: classify(error) is Failure.TRANSIENT and self._connected()),
                wait=wait_random_exponential(multiplier=0.1, max=5),
                stop=stop_after_attempt(ATTEMPTS),
                reraise=True,
            ):
                with attempt:
                    await self._repair_chunk(user_ids)
        except DATABASE_ERRORS as error:
            if classify(error) is not Failure.DATA:
                raise
            if len(user_ids) > 1:
                middle = len(user_ids) // 2
                await self._repair(user_ids[:middle])
                await self._repair(user_ids[middle:])
            else:
                log.error(  # noqa: TRY400 - the refusal is the message
                    "user refused by PostgreSQL", action="repair_refused", user_id=user_ids[0], error=str(error)
                )
                self.refused += user_ids

    def _connected(self) -> bool:
        return not self._connection.is_closed()

    async def _repair_chunk(self, user_ids: Sequence[str]) -> None:
        connection = self._connection
        await self._advance(await self._offsets("read_offsets", self._topic))  # most of the tail, without a lock
        async with connection.transaction():
            await connection.execute(self._limit)
            reached = await self._lock_offsets()
            began = perf_counter()
            staged = await self._fold_tail(reached)
            await connection.execute(USERS_SQL["lock_users"], user_ids)
            await connection.execute(REPAIR_SQL["repair_users"], user_ids)
            await connection.fetchval(PARKED_EVENTS_SQL["lock_parked"], user_ids)
            for step in (
                "repair_names",
                "delete_extra_verdicts",
                "repair_verdicts",
                "delete_extra_parked",
                "repair_parked",
                "recount",
            ):
                await connection.execute(REPAIR_SQL[step], user_ids)
            waited_for = await connection.fetchval(REPAIR_SQL["somebody_waits"])
        self._staged = staged
        self.longest_chunk_s = max(self.longest_chunk_s, perf_counter() - began)
        if waited_for:
            await self._let_pass(reached)

    async def _let_pass(self, reached: Mapping[int, int]) -> None:
        """A row goes to whoever asks first after a commit, not to who has waited: chunk could follow upon chunk."""
        deadline = perf_counter() + LET_PASS_S
        while perf_counter() < deadline and await self._offsets("read_offsets", self._topic) == reached:  # noqa: ASYNC110
            await asyncio.sleep(LET_PASS_POLL_S)

    async def _lock_offsets(self) -> dict[int, int]:
        return await self._offsets("lock_offsets", self._topic, list(self._targets.offsets))

    async def _offsets(self, query: str, *arguments: object) -> dict[int, int]:
        """Up to where the tables speak of the log now; where nothing has moved, as far as the comparison found."""
        targets = self._targets
        return {
            partition: found if next_offset == targets.claimed[partition] else max(next_offset, found)
            for partition, next_offset, *_ in await self._connection.fetch(OFFSETS_SQL[query], *arguments)
            if (found := targets.offsets.get(partition)) is not None
        }

    async def _advance(self, to: Mapping[int, int]) -> None:
        async with self._connection.transaction():
            staged = await self._fold_tail(to)
        self._staged = staged

    async def _fold_tail(self, to: Mapping[int, int]) -> dict[int, int]:
        """Folds the log between what is staged and `to`, for the users under repair."""
        verdicts: dict[VerdictKey, Verdict] = {}
        names: dict[str, Registration] = {}
        ranges = {partition: (self._staged.get(partition, 0), end) for partition, end in to.items()}
        async for records in self._scan.read(ranges):
            rows = stage(records)
            for verdict in rows.verdicts:
                fold_verdict(verdicts, verdict)
            for user_id, username, registered_at in rows.registrations:
                named = Registration(registered_at, username)
                names[user_id] = max(named, names.get(user_id, named))
        if names:
            await self._connection.execute(
                REPAIR_SQL["advance_names"],
                list(names),
                [named.username for named in names.values()],
                [named.registered_at for named in names.values()],
            )
        if verdicts:
            await self._connection.execute(REPAIR_SQL["advance_fix"], *verdict_columns(verdicts))
        return {partition: max(end, self._staged.get(partition, 0)) for partition, end in to.items()}
