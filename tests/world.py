"""A test's world: one topic, one database, one board, and the commands that work on them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from bench.check import differences, model_of
from bench.oracle import Model
from solve_producer.client import SolveProducer
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.live.pipeline import Totals
from solve_projector.live.process import open_projector, run_projector
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import newest_revision
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import Event
from solve_schemas.record import encode
from tests.waiting import until

MOST_SHOWN = 6_000  # characters
# Quick takeovers and checks; every one of them is a setting an operator has too.
FAST = {
    "group_session_timeout_ms": 1500,
    "metadata_max_age_ms": 1000,
    "leaderboard_check_interval_s": 0.2,
    "sweep_interval_s": 0.3,
    "log_check_interval_s": 0.5,
    "transaction_idle_timeout_ms": 2000,
    "stall_after_s": 10,
}


@dataclass
class World:
    """Handles of one test."""

    connection: KafkaConnection
    settings: ProjectorSettings
    environment: dict[str, str]
    published: list[Event] = field(default_factory=list)

    async def publish(
        self, events: Iterable[Event], partition: int | None = None, source: str = DEFAULT_SOURCE
    ) -> None:
        """Through the client, or straight into one partition, whoever the user is."""
        batch = list(events)
        self.published += batch
        if partition is None:
            async with SolveProducer(self.connection, source=source) as producer:
                await producer.publish(batch)
            return
        async with self.raw_producer() as producer:
            for event in batch:
                record = encode(event, source)
                await producer.send(
                    self.connection.topic, record.value, key=record.key, headers=record.headers, partition=partition
                )

    @asynccontextmanager
    async def raw_producer(self, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
        """The bare client, for what no judge should send; flushed on exit."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.connection.bootstrap_servers, max_request_size=2**22, **options
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def open_transaction(
        self, *events: Event, partition: int = 0, commit: bool = True
    ) -> AsyncIterator[AIOKafkaProducer]:
        """Kafka's transaction with these events stays open inside; then it is committed, or aborted."""
        async with self.raw_producer(transactional_id=self.connection.topic) as producer:
            await producer.begin_transaction()
            for event in events:
                record = encode(event)
                await producer.send_and_wait(
                    self.connection.topic, record.value, key=record.key, headers=record.headers, partition=partition
                )
            yield producer
            await (producer.commit_transaction() if commit else producer.abort_transaction())

    async def run_once(self, **changes: Any) -> Totals:
        """`solve-projector run --once` in this process."""
        async with open_projector(self.connection, self.settings.model_copy(update=changes)) as projector:
            return await run_projector(projector, asyncio.Event(), once=True)

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Any]:
        """`solve-projector run` in this process, stopped in its clean way on exit."""
        stopping = asyncio.Event()
        async with open_projector(self.connection, self.settings.model_copy(update=changes)) as projector:
            task = asyncio.create_task(run_projector(projector, stopping))
            try:
                yield task
                stopping.set()
                await task
            finally:
                task.cancel()
                await asyncio.wait([task])

    @asynccontextmanager
    async def process(self, *words: str, **changes: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`solve-projector` as a process of its own; killed on exit where it still runs."""
        log = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "solve_projector",
            *(words or ("run",)),
            env=self.environment | changes,
            stdout=log,
            stderr=log,
        )
        reader = asyncio.create_task(process.communicate())
        process.output = reader  # type: ignore[attr-defined]
        try:
            yield process
        except BaseException as error:
            _kill(process)
            _, said = await reader
            error.add_note(f"the log of process {process.pid} ends with\n{said.decode()[-MOST_SHOWN:]}")
            raise
        finally:
            _kill(process)
            await reader

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the test's own, which may change what it likes."""
        url, revision = self.settings.database_url.get_secret_value(), {"solve.revision": newest_revision()}
        connection = await asyncpg.connect(url, server_settings=revision)
        try:
            yield connection
        finally:
            await connection.close()

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of PostgreSQL."""
        async with self.database() as connection:
            return list(await connection.fetch(query, *arguments))

    async def value(self, query: str, *arguments: Any) -> Any:
        """One value of PostgreSQL."""
        async with self.database() as connection:
            return await connection.fetchval(query, *arguments)

    def model(self, events: Sequence[Event] | None = None) -> Model:
        """What must come out of everything published so far."""
        return model_of(self.published if events is None else events)

    async def differences(self, events: Sequence[Event] | None = None) -> list[str]:
        """Where a store is not what the model says."""
        async with self.database() as connection, open_leaderboard(self.settings, self.connection.topic) as board:
            return await differences(self.model(events), connection, board)

    async def until_right(self, events: Sequence[Event] | None = None) -> None:
        """Waits until both stores are what the model says; says what differs where they never are."""
        last: list[str] = []

        async def right() -> bool:
            nonlocal last
            try:
                last = await self.differences(events)
            except (OSError, asyncpg.PostgresError, Exception) as error:  # noqa: BLE001 - a server may be unavailable
                last = [repr(error)]
            return not last

        try:
            await until(right, "both stores to be right")
        except AssertionError as error:
            raise AssertionError(f"{error}; {last}") from None

    async def board(self) -> dict[str, int]:
        """Redis' scores."""
        async with open_leaderboard(self.settings, self.connection.topic) as board:
            user_ids = [user_id async for chunk in board.member_ids() for user_id in chunk]
            scores = zip(user_ids, await board.scores_of(user_ids), strict=True)
            return {user_id: member_score for user_id, member_score in scores if member_score is not None}


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


def environment_of(connection: KafkaConnection, settings: ProjectorSettings) -> dict[str, str]:
    """The same settings for another process."""
    variables = settings.variables()
    plain = settings.model_dump(exclude_none=True)
    plain |= {name: getattr(settings, name).get_secret_value() for name in ("database_url", "redis_url")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "DATABASE_"))}
    return inherited | {
        **{variables[name]: str(value) for name, value in plain.items()},
        "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers,
        "SOLVE_TOPIC": connection.topic,
        "SOLVE_LOG_FORMAT": "json",
    }
