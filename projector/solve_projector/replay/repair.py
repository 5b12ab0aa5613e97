"""Repairs drifted users chunk by chunk, under projection's locks, while projection goes on (I8, I11).

Each chunk is one transaction:
1. lock the offset rows, so that PostgreSQL stands still at known offsets;
2. fold the log's tail up to them into the rows of the users under repair;
3. make their rows in the tables exactly that, and count them anew.
Facts about problems are the first chunk; who solved them is counted anew by a projector, or at the end.

Nothing newer is undone, since nothing newer is applied yet. A crash leaves whole chunks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import perf_counter

import asyncpg
import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from solve_projector.domain.rule import (
    ProblemFact,
    Registration,
    Removal,
    Verdict,
    VerdictKey,
    fold_problem_fact,
    fold_registration,
    fold_removal,
    fold_verdict,
)
from solve_projector.log.scan import LogScan
from solve_projector.replay.applied_offsets import AppliedOffsets
from solve_projector.replay.comparison import DeadLetterDrift
from solve_projector.replay.staging import decode_rows
from solve_projector.store.counts import (
    add_to_outbox,
    problem_fact_columns,
    recount_users,
    registration_columns,
    removal_columns,
    verdict_columns,
)
from solve_projector.store.halving import in_halves
from solve_projector.store.postgresql import Connection, Failure, classify
from solve_projector.store.session import require_own_session
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")
REPAIR_SQL = queries("solve_projector.replay", "repair")
USERS_SQL = queries("solve_projector.store", "users")
USER_FACTS_SQL = queries("solve_projector.store", "user_facts")
SOLVES_SQL = queries("solve_projector.store", "solves")
PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")

CHUNK_USERS = 100
ATTEMPTS = 8
# longer than a batch takes; the waiter may be no projector, or gone
YIELD_S = 2.0
YIELD_POLL_S = 0.002

log = structlog.get_logger()


class Repair:
    """Repairs the users whom the comparison found."""

    def __init__(
        self, connection: Connection, scan: LogScan, topic: str, applied: AppliedOffsets, transaction_timeout_ms: int
    ) -> None:
        self._connection = connection
        # a frozen replay must not block projection for longer (I3)
        self._limit = f"SET LOCAL transaction_timeout = {transaction_timeout_ms:d}"
        self._scan = scan
        self._topic = topic
        self._applied = applied
        self._staged: Mapping[int, int] = dict(applied.offsets)
        self.refused: list[str] = []
        self.longest_chunk_s = 0.0

    async def run(self, on_progress: Callable[[int, int], None]) -> None:
        """Repairs all users; those whom PostgreSQL refuses stay as they were, in `refused`. Raises asyncpg's errors."""
        await self._connection.execute(REPAIR_SQL["prepare_repairs"])
        if await self._connection.fetchval("SELECT EXISTS (SELECT FROM solve_replay_problem_drift)"):
            await self._in_chunk(self._repair_problems)
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
            await in_halves(user_ids, self._repair, self._on_refused)
            done, last = done + len(user_ids), user_ids[-1]
            on_progress(done, total)

    async def finish(self, dead_letters: DeadLetterDrift) -> None:
        """Repairs dead letters, and offsets that were moved by hand."""
        connection = self._connection
        async with connection.transaction():
            await connection.execute(self._limit)
            await self._lock_offsets()
            for moved in self._applied.moved:
                await connection.execute(
                    "UPDATE partition_offsets SET next_offset = $4, updated_at = now() "
                    "WHERE topic = $1 AND partition = $2 AND next_offset = $3",
                    self._topic, moved["partition"], moved["found"], moved["restored"],
                )  # fmt: skip
            if dead_letters.missing:
                await connection.execute(REPAIR_SQL["insert_dead_letters"], self._topic)
            if dead_letters.extra:
                partitions, offsets = zip(*dead_letters.extra, strict=True)
                await connection.execute(
                    REPAIR_SQL["delete_dead_letters"], self._topic, partitions, offsets, self.refused
                )

    async def _repair(self, user_ids: Sequence[str]) -> None:
        await self._in_chunk(partial(self._repair_users, user_ids))

    async def _in_chunk(self, repair: Callable[[], Awaitable[None]]) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda error: classify(error) is Failure.TRANSIENT and self._connected()),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        ):
            with attempt:
                await self._repair_chunk(repair)

    async def _on_refused(self, user_id: str, refusal: BaseException) -> None:
        log.error("user refused by PostgreSQL", action="repair_refused", user_id=user_id, error=str(refusal))
        self.refused.append(user_id)

    def _connected(self) -> bool:
        return not self._connection.is_closed()

    async def _repair_chunk(self, repair: Callable[[], Awaitable[None]]) -> None:
        """One transaction, under the offsets' locks, after which whoever waits for them goes first."""
        connection = self._connection
        await self._advance(await self._read_offsets())  # most of the tail, before the locks
        async with connection.transaction():
            await connection.execute(self._limit)
            reached = await self._lock_offsets()
            started = perf_counter()
            staged = await self._fold_tail(reached)
            await repair()
            has_waiters = await connection.fetchval(REPAIR_SQL["has_waiters"])
        self._staged = staged
        self.longest_chunk_s = max(self.longest_chunk_s, perf_counter() - started)
        if has_waiters:
            await self._yield_to_waiters(reached)

    async def _repair_problems(self) -> None:
        await self._connection.execute(REPAIR_SQL["repair_problems"])

    async def _repair_users(self, user_ids: Sequence[str]) -> None:
        connection = self._connection
        await connection.execute(USERS_SQL["lock_users"], user_ids)
        for step in ("repair_users", "repair_names"):
            await connection.execute(REPAIR_SQL[step], user_ids)
        await connection.fetch(USER_FACTS_SQL["lock_removals"], user_ids)
        await connection.execute(REPAIR_SQL["repair_removals"], user_ids)
        await connection.execute(USER_FACTS_SQL["apply_removals"], user_ids)
        await connection.fetchval(PARKED_EVENTS_SQL["lock_parked"], user_ids)
        for step in (
            "delete_extra_search_keys",
            "add_missing_search_keys",
            "delete_wrong_verdicts",
            "add_missing_verdicts",
            "delete_extra_parked",
            "repair_parked",
        ):
            await connection.execute(REPAIR_SQL[step], user_ids)
        await connection.execute(SOLVES_SQL["settle_users"], user_ids)
        # in the outbox, since no offset stands for this change
        await add_to_outbox(connection, await recount_users(connection, user_ids))

    async def _yield_to_waiters(self, reached: Mapping[int, int]) -> None:
        """Lets a waiting projector commit: after a commit a lock goes to whoever asks first, perhaps the next chunk."""
        deadline = perf_counter() + YIELD_S
        while perf_counter() < deadline and await self._read_offsets() == reached:  # noqa: ASYNC110
            await asyncio.sleep(YIELD_POLL_S)

    async def _lock_offsets(self) -> dict[int, int]:
        rows = await self._connection.fetch(OFFSETS_SQL["lock_offsets"], self._topic, list(self._applied.offsets))
        require_own_session(row["mark"] for row in rows)
        return self._offsets(rows)

    async def _read_offsets(self) -> dict[int, int]:
        return self._offsets(await self._connection.fetch(OFFSETS_SQL["read_offsets"], self._topic))

    def _offsets(self, rows: Sequence[asyncpg.Record]) -> dict[int, int]:
        """The offsets that the tables stand at; for a partition that has not moved, those of the comparison."""
        applied = self._applied
        return {
            partition: found if next_offset == applied.claimed[partition] else max(next_offset, found)
            for partition, next_offset, *_ in rows
            if (found := applied.offsets.get(partition)) is not None
        }

    async def _advance(self, to: Mapping[int, int]) -> None:
        async with self._connection.transaction():
            staged = await self._fold_tail(to)
        self._staged = staged

    async def _fold_tail(self, to: Mapping[int, int]) -> dict[int, int]:
        """Folds the log between what is staged and `to`, for the users under repair."""
        verdicts: dict[VerdictKey, Verdict] = {}
        names: dict[str, Registration] = {}
        removals: dict[str, Removal] = {}
        problems: dict[str, ProblemFact] = {}
        ranges = {partition: (self._staged.get(partition, 0), end) for partition, end in to.items()}
        async for records in self._scan.read(ranges):
            rows = decode_rows(records)
            for verdict in rows.verdicts:
                fold_verdict(verdicts, verdict)
            for user_id, username, registered_at, unlisted in rows.registrations:
                fold_registration(names, user_id, Registration(registered_at, unlisted, username))
            for user_id, removed_at, reason, erased_at in rows.removals:
                fold_removal(removals, user_id, Removal(removed_at, reason, erased_at))
            for problem_id, decided_at, is_withdrawn, reason in rows.problem_facts:
                fold_problem_fact(problems, problem_id, ProblemFact(decided_at, is_withdrawn, reason))
        if problems:
            await self._connection.execute(REPAIR_SQL["advance_problems"], *problem_fact_columns(problems))
        if names:
            await self._connection.execute(REPAIR_SQL["advance_names"], *registration_columns(names))
        if removals:
            await self._connection.execute(REPAIR_SQL["advance_removals"], *removal_columns(removals))
        if verdicts:
            await self._connection.execute(REPAIR_SQL["advance_fix"], *verdict_columns(verdicts))
        return {partition: max(end, self._staged.get(partition, 0)) for partition, end in to.items()}
