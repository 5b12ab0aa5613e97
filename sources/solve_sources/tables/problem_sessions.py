"""Imports a platform's own table of attempts: reads it in key order, a page at a time, and publishes what is new.

The broker has confirmed a page before the next is read, so an import that ended early continues after its last key,
in bounded memory. A table that was read from its first row to its last is the whole truth: what was counted from it
before, and is gone or not completed now, is taken back. Nothing is written to the source.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

from solve_producer.errors import ProducerError
from solve_runtime.addresses import is_mysql
from solve_schemas.events import Event
from solve_sources.errors import BadRow, ImportStopped
from solve_sources.reconciliation.counted import Counted
from solve_sources.reconciliation.reconciling import Publish, Round, fold_published, take_back_unnamed
from solve_sources.reconciliation.wanted import WantedSolve
from solve_sources.tables.mapping import Sessions, Users
from solve_sources.tables.sessions import Prefix, Rules, SolvesPage, TimeRules, UsersPage, solves_of, users_of
from solve_sources.tables.settings import SourceSettings
from solve_sources.tables.source import TableSource
from solve_sources.tables.submissions import Submissions

PAGE_ROWS = 5_000
BAD_ROWS_KEPT = 1_000


@dataclass(slots=True)
class Imported:
    """What an import did; `last_key` is the last attempt that the broker has confirmed.

    `of_others` solves were counted before as another source's, such as `other_source`, and stay that one's.
    """

    source: str = ""
    users: int = 0
    solved: int = 0
    not_completed: int = 0
    invalid: int = 0
    published: int = 0
    taken_back: int = 0
    dead_letters: int = 0
    of_others: int = 0
    other_source: str | None = None
    last_key: str | None = None
    bad_rows: list[str] = field(default_factory=list)

    def reject(self, bad_rows: list[str]) -> None:
        """Counts bad rows, and keeps the first to be shown."""
        self.invalid += len(bad_rows)
        self.bad_rows += bad_rows[: max(0, BAD_ROWS_KEPT - len(self.bad_rows))]


@dataclass(frozen=True, slots=True)
class Import:
    """What to import, and how."""

    sessions: Sessions = field(default_factory=Sessions)
    users: Users | None = field(default_factory=Users)
    times: TimeRules = field(default_factory=TimeRules)
    after: str | None = None
    skip_invalid: bool = False
    page_rows: int = PAGE_ROWS
    prefix: Prefix = field(default_factory=Prefix)
    partial: bool = False
    agreed: bool = False

    @property
    def has_submissions(self) -> bool:
        """Whether several rows may be of one submission, so that it stands only after the last row what is solved."""
        return bool(self.sessions.submission_id or self.sessions.query)

    @property
    def rules(self) -> Rules:
        """What rows mean."""
        return Rules(self.times, self.prefix, self.sessions.solved)


async def import_sessions(
    wanted: Import, settings: SourceSettings, counted: Counted, publish: Publish, done: Imported
) -> None:
    """Users first, then attempts; `publish` returns once the broker has a page. `done` is kept up to date.

    Raises SourceUnusable, ImportStopped, whose message says after which key to go on, and TooMuchTakenBack.
    """
    done.last_key = last_key = wanted.after
    done.source = counted.ledger.source
    done.dead_letters = counted.dead_letters
    current = Round(counted.ledger, datetime.now(UTC))

    async def send(events: list[Event]) -> None:
        await publish(events)
        fold_published(counted.ledger, events)
        done.published += len(events)

    async def offer(solves: list[WantedSolve]) -> None:
        await counted.load_verdicts(solve[:3] for solve in solves)
        await send(current.offer(solves))

    source = await open_source(settings)
    submissions = Submissions()
    try:
        async for users in user_pages(source, wanted, done):
            await counted.load_users(user.user_id for user in users.users)
            await send(current.register(users.users))
            done.users += len(users.users)
        async for solves, last_key in solve_pages(source, wanted, done):
            done.solved += len(solves.solves)
            if wanted.has_submissions:
                submissions.add(solves.solves, solves.refusals)
            else:
                await offer(solves.solves)
                done.last_key = last_key
        for page in submissions.solved():
            await offer(page)
        done.last_key = last_key
        done.of_others, done.other_source = current.of_others, current.other
    except ProducerError as error:
        raise ImportStopped(f"{error}; {where_to_go_on(done)}") from error
    finally:
        submissions.close()
        await source.close()
    if not (wanted.partial or wanted.after or done.invalid):
        done.taken_back = await take_back_unnamed(counted, current, send, agreed=wanted.agreed)


def source_of(wanted: Import, settings: SourceSettings) -> str:
    """The name under which a table is counted: where it is, and a query by its digest."""
    query = wanted.sessions.query
    named = blake2b(query.encode(), digest_size=8).hexdigest() if query else wanted.sessions.table
    return f"/tables/{settings.place}/{named}"


async def open_source(settings: SourceSettings) -> TableSource:
    """A connection to the platform's database. Raises SourceUnusable, without the password."""
    address = settings.source_database_url.get_secret_value()
    if is_mysql(address):
        from solve_sources.tables.mysql import MySqlTables

        return await MySqlTables.connect(address)
    from solve_sources.tables.postgresql import PostgreSqlTables

    return await PostgreSqlTables.connect(address)


async def user_pages(source: TableSource, wanted: Import, done: Imported) -> AsyncIterator[UsersPage]:
    """All users that are to be imported. Raises SourceUnusable, and BadRow unless bad rows are skipped."""
    if wanted.users is None:
        return
    async for rows in source.pages(wanted.users, None, wanted.page_rows):
        page = users_of(rows, wanted.rules, datetime.now(UTC))
        _take_bad_rows(page.bad_rows, wanted, done)
        yield page


async def solve_pages(source: TableSource, wanted: Import, done: Imported) -> AsyncIterator[tuple[SolvesPage, str]]:
    """All attempts, each page with its last key. Raises SourceUnusable, and BadRow unless bad rows are skipped."""
    async for rows in source.pages(wanted.sessions, wanted.after, wanted.page_rows):
        page = solves_of(rows, wanted.rules, datetime.now(UTC))
        _take_bad_rows(page.bad_rows, wanted, done)
        done.not_completed += page.not_completed
        yield page, rows[-1]["key_text"]


def _take_bad_rows(bad_rows: list[str], wanted: Import, done: Imported) -> None:
    if bad_rows and not wanted.skip_invalid:
        raise BadRow(bad_rows[0])
    done.reject(bad_rows)


def where_to_go_on(done: Imported) -> str:
    """What a person should do after an import that ended early."""
    if done.last_key is None:
        return "run the import again; what is in the log already is left out"
    return f"everything up to key {done.last_key} is in the log; continue with --after {done.last_key}"
