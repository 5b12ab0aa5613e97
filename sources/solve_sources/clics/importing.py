"""Publishes what a contest says and what was counted from it lacks: as a whole, or as it changes.

Until a feed has said everything, what it does not name may come yet, and nothing is taken back for it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from solve_producer.client import SolveProducer
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event
from solve_sources.clics.contest import Contest
from solve_sources.clics.source import ContestSource
from solve_sources.clics.verdicts import Reading, Report
from solve_sources.reconciliation.counted import Counted, open_counted
from solve_sources.reconciliation.reconciling import Reconciled, Round, publish_page, reconcile, require_few

SOURCE = "/clics/{}"


@dataclass(frozen=True, slots=True)
class ContestImport:
    """What is imported, and how; `name` is the feed's for messages, `source` by default that of the contest."""

    name: str
    reading: Reading
    source: str | None = None
    agreed: bool = False


class CountedContest:
    """A contest beside what was counted from it. Made by `open_contest`."""

    def __init__(self, contest: Contest, counted: Counted, producer: SolveProducer, wanted: ContestImport) -> None:
        self._contest = contest
        self._counted = counted
        self._producer = producer
        self._agreed = wanted.agreed
        self._whole = ContestSource(contest, wanted.reading, wanted.name)
        self._unfinished = self._whole.unfinished()
        self.published = Reconciled()

    @property
    def report(self) -> Report:
        """What the last `reconcile` found."""
        return self._whole.report

    def needed(self) -> Iterator[Event]:
        """The events that `reconcile` would publish now; `published` counts them."""
        self.published = Reconciled(dead_letters=self._counted.dead_letters)
        for page in self._whole.pages(self._counted.ledger, self._round()):
            for event in page:
                self.published.add(event)
                yield event

    def require_few(self) -> None:
        """After `needed`. Raises TooMuchTakenBack where `reconcile` would."""
        require_few(self.published.taken_back, self._counted.ledger, agreed=self._agreed)

    async def reconcile(self) -> None:
        """Publishes what is missing, once the feed has said everything.

        Raises TooMuchTakenBack, KeepsChanging, and what the producer and the log's readers raise.
        """
        done = await reconcile(
            lambda current: self._whole.pages(self._counted.ledger, current),
            self._counted,
            self._publish,
            datetime.now(UTC),
            agreed=self._agreed,
        )
        self.published.add_all(done)
        self._contest.settled()

    async def settle(self, *, whole: bool = False, at_rest: bool = True) -> set[str]:
        """Publishes what follows from the latest changes; `whole` once the feed has said everything.

        Returns what changed submissions refer to and the feed has not named; they stay as they stand until it does.

        Not `at_rest`, the feed may be in the middle of its past: then only what this run published is taken back.
        """
        await self._counted.require_lock()
        source = self._whole if whole else self._unfinished
        for page in source.changes(self._counted.ledger, self._round(), at_rest=at_rest):
            await publish_page(page, self._publish, self._counted.ledger, self.published)
        self._contest.settled()
        return source.waited_for

    def _round(self) -> Round:
        return Round(self._counted.ledger, datetime.now(UTC))

    async def _publish(self, events: list[Event]) -> None:
        await self._producer.publish(events)


@asynccontextmanager
async def open_contest(
    contest: Contest,
    wanted: ContestImport,
    connection: KafkaConnection,
    settings: ProjectorSettings,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[CountedContest]:
    """A contest whose id is known; what is published is counted in `registry`.

    Raises SourceBusy, and what PostgreSQL's and Kafka's clients raise when opened."""
    contest_id = ContestSource(contest, wanted.reading, wanted.name).contest_id
    source = wanted.source or SOURCE.format(contest_id)
    # the lock outlives the producer, which still sends what is waiting when it is closed
    async with (
        open_counted(connection, settings, source, contest_id) as counted,
        SolveProducer(connection, source=source, registry=registry) as producer,
    ):
        await producer.connect()
        yield CountedContest(contest, counted, producer, wanted)
