"""Reads what was counted from a source: standing and parked verdicts of PostgreSQL, then the log from where that ends.

PostgreSQL's rows and offsets are of one snapshot, so the two together are the whole log, whether or not a projector
runs. The log is read up to the high watermark: whatever was published before is in it.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import asyncpg

from solve_projector.domain.decoding import decode_record
from solve_projector.domain.rule import Removal, Verdict, is_verdict, registration_of, removal_of
from solve_projector.log.inspection import open_inspector
from solve_projector.log.scan import open_scan
from solve_projector.settings import ProjectorSettings
from solve_projector.store.command_session import command_session
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries
from solve_runtime.text import readable
from solve_schemas.event_source import kept_source
from solve_schemas.events import UserRegistered, UserRemoved
from solve_sources.errors import SourceBusy, SourceUnusable
from solve_sources.reconciliation.ledger import Ledger

SQL = queries("solve_sources.reconciliation", "counted")
ROWS_AT_ONCE = 2_000


class Counted:
    """Keeps a ledger current. Made by `open_counted`."""

    def __init__(self, connection: KafkaConnection, session: asyncpg.Connection, ledger: Ledger) -> None:
        self._connection = connection
        self._session = session
        self.ledger = ledger
        self.dead_letters = 0  # events of the source that wait there, when it was loaded
        self._offsets: dict[int, int] = {}

    async def require_lock(self) -> None:
        """Raises asyncpg's error where the session is gone, and with it the lock."""
        await self._session.execute("SELECT 1")

    async def load(self) -> None:
        """Reads PostgreSQL, then the rest of the log. Raises what asyncpg and the log's readers raise."""
        self.ledger.clear()
        async with self._session.transaction(isolation="repeatable_read", readonly=True):
            topic = self._connection.topic
            self._offsets = {row[0]: row[1] for row in await self._session.fetch(SQL["offsets"], topic)}
            self.dead_letters = await self._session.fetchval(SQL["dead_letters"], self.ledger.source.encode())
            await self._load_verdicts()
            if prefix := self.ledger.user_prefix:
                await self._load_users("between", prefix, _end_of(prefix))
        await self.catch_up()

    async def _load_verdicts(self) -> None:
        prefix = self.ledger.user_prefix
        if prefix:
            rows = self._session.cursor(SQL["verdicts_of_users"], prefix, _end_of(prefix), prefetch=ROWS_AT_ONCE)
        else:
            rows = self._session.cursor(SQL["verdicts_of_source"], self.ledger.source, prefetch=ROWS_AT_ONCE)
        async for row in rows:
            self.ledger.fold(Verdict(*row))

    async def load_verdicts(self, keys: Iterable[tuple[str, str, str]]) -> None:
        """Reads what stands of (user, problem, submission), where no contest names the users."""
        columns = list(zip(*keys, strict=True))
        if columns:
            for row in await self._session.fetch(SQL["verdicts_of_keys"], *(list(one) for one in columns)):
                self.ledger.fold(Verdict(*row))

    async def load_users(self, user_ids: Iterable[str]) -> None:
        """Reads users whom no prefix names."""
        await self._load_users("of", list(user_ids))

    async def _load_users(self, which: str, *arguments: object) -> None:
        for row in await self._session.fetch(SQL[f"users_{which}"], *arguments):
            self.ledger.load_user(*row)
        for row in await self._session.fetch(SQL[f"removals_{which}"], *arguments):
            self.ledger.fold_removal(row[0], Removal(*row[1:]))

    async def catch_up(self) -> bool:
        """Reads what the log has by now; whether anything else stands then.

        Raises KafkaUnavailable, OffsetOutOfRange, TopicMissing.
        """
        async with open_inspector(self._connection) as inspector:
            state = await inspector.state()
        ranges = {partition: (self._offsets.get(partition, 0), end) for partition, end in state.high_watermarks.items()}
        if not any(begin < end for begin, end in ranges.values()):
            return False
        known = self.ledger.changes
        async with open_scan(self._connection) as scan:
            async for records in scan.read(ranges):
                for record in records:
                    self._fold(decode_record(record))
        self._offsets = {partition: max(end, ranges[partition][0]) for partition, (_, end) in ranges.items()}
        return self.ledger.changes > known

    def _fold(self, said: object) -> None:
        ledger = self.ledger
        if is_verdict(said) and isinstance(said, Verdict):
            if ledger.concerns(said):
                ledger.fold(said)
        elif isinstance(said, UserRegistered) and said.user_id.startswith(ledger.user_prefix):
            ledger.fold_registration(said.user_id, registration_of(said))
        elif isinstance(said, UserRemoved) and said.user_id.startswith(ledger.user_prefix):
            ledger.fold_removal(said.user_id, removal_of(said))


@asynccontextmanager
async def open_counted(
    connection: KafkaConnection, settings: ProjectorSettings, source: str, contest_id: str = ""
) -> AsyncIterator[Counted]:
    """What was counted from `source`, with a contest of that alone, while no other process reconciles the same source.

    Raises SourceBusy, SourceUnusable, DatabaseUnavailable, SchemaMismatch and what `Counted.load` raises.
    """
    if kept_source(source.encode("utf-8", "replace")) != source:
        raise SourceUnusable(
            f"--source {readable(source)} cannot be kept; give a name of 1 to 200 printable characters"
        )
    async with command_session(settings, replay=True) as session:
        if not await session.fetchval(SQL["lock_source"], source):
            raise SourceBusy(
                f"another import of {source} is running; wait until it ends, or give this one a --source of its own"
            )
        with Ledger(source, contest_id) as ledger:
            counted = Counted(connection, session, ledger)
            await counted.load()
            yield counted


def _end_of(prefix: str) -> str:
    """The first text, in byte order, after all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
