"""Follows a contest's live feed for days: counts are the feed's, whatever is unavailable meanwhile.

Nothing is published before the feed has said everything once; then everything is compared with what was counted, and
from there on each change is published as it comes. Where PostgreSQL or Kafka is unavailable, the feed waits, and the
comparison is made again. A second follower of the same source waits until the first one ends.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict

import asyncpg
import structlog

from solve_producer.errors import BrokerUnreachable, DeliveryUncertain
from solve_projector.errors import DatabaseUnavailable, KafkaUnavailable
from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.text import cut, readable
from solve_sources.clics.contest import Contest
from solve_sources.clics.feed import change_said
from solve_sources.clics.feed_reading import Connected, Ended, Line, Piece, Quiet, Whole
from solve_sources.clics.http_feed import HttpFeed
from solve_sources.clics.importing import ContestImport, CountedContest, open_contest
from solve_sources.clics.telemetry import FollowTelemetry
from solve_sources.errors import SourceBusy

RETRY_S = 1.0
RETRY_MAX_S = 30.0
STANDBY_S = 5.0
NAMED = 5
OF_KAFKA = (BrokerUnreachable, DeliveryUncertain, KafkaUnavailable)
UNAVAILABLE = (*DATABASE_ERRORS, DatabaseUnavailable, *OF_KAFKA)

log = structlog.get_logger()


class Follower:
    """One contest, followed. `published` and `report` of `counted` say what was done since it was last opened."""

    def __init__(self, contest: Contest, wanted: ContestImport, feed: HttpFeed) -> None:
        self.telemetry = FollowTelemetry(feed)
        self._contest = contest
        self._wanted = wanted
        self._feed = feed
        self._whole = False
        self._starts_over = False

    async def follow(self, connection: KafkaConnection, settings: ProjectorSettings) -> None:
        """Until the feed ends. Raises TooMuchTakenBack, FeedError, and what no waiting can help."""
        retry_s, waited = RETRY_S, False
        async with aclosing(self._feed.pieces()) as pieces:
            ended = not await self._read_until_whole(pieces)
            while not ended:
                try:
                    registry = self.telemetry.registry
                    async with open_contest(self._contest, self._wanted, connection, settings, registry) as counted:
                        if waited:  # nothing was read meanwhile, and the other one has published what came
                            self._start_over()
                        retry_s, waited = RETRY_S, False
                        await self._publish(pieces, counted)
                        ended = True
                except SourceBusy as error:
                    if not waited:
                        log.info("waiting for another follower to end", action="standby", reason=str(error))
                    waited = True
                    await asyncio.sleep(STANDBY_S)
                except UNAVAILABLE as error:
                    _require_hope(error)
                    self.telemetry.fails("kafka" if isinstance(error, OF_KAFKA) else "postgresql", error)
                    log.warning("comparing everything again", action="unavailable", reason=str(error))
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, RETRY_MAX_S)

    async def _read_until_whole(self, pieces: AsyncGenerator[Piece, None]) -> bool:
        """False where the feed ended first."""
        async for piece in pieces:
            self._take(piece)
            if self._whole:
                return True
        return False

    def _start_over(self) -> None:
        self._feed.start_over()
        self._whole, self._starts_over = False, True

    async def _publish(self, pieces: AsyncGenerator[Piece, None], counted: CountedContest) -> None:
        """Compares everything, then publishes what changes, until the feed ends."""
        if self._whole:
            await self._reconcile(counted)
        async for piece in pieces:
            self._take(piece)
            if isinstance(piece, Whole) and self._whole:
                await self._reconcile(counted)
            elif isinstance(piece, Quiet) and self._whole and self._contest.has_changes():
                _warn_of(await counted.settle(whole=True))
            elif isinstance(piece, Ended):
                return

    async def _reconcile(self, counted: CountedContest) -> None:
        await counted.reconcile()
        self.telemetry.compared()
        log.info(
            "everything is compared",
            action="reconciled", contest=counted.report.contest_id, solves=counted.report.solved,
            left_out=counted.report.left_out, first_unusable_time=counted.report.first_unusable_time,
            **asdict(counted.published),
        )  # fmt: skip

    def _take(self, piece: Piece) -> None:
        if isinstance(piece, Connected) and piece.whole:
            self._contest.forget_unnamed()
            self._whole = self._starts_over = False
        elif isinstance(piece, Line):
            self._contest.apply(change_said(piece.said, self._wanted.name))
        elif isinstance(piece, Whole):
            self._whole = not self._starts_over  # else it is of the reading before
            self.telemetry.complete = self.telemetry.complete or self._whole


def _warn_of(waited_for: set[str]) -> None:
    if waited_for:
        named = [cut(readable(one), 100) for one in sorted(waited_for)[:NAMED]]
        log.warning(
            "submissions wait for what the feed has not sent, and stay as they stand",
            action="feed_refers_to_unknown", count=len(waited_for), named=named,
        )  # fmt: skip


def _require_hope(error: BaseException) -> None:
    """Raises an error of PostgreSQL again that trying again cannot help."""
    if isinstance(error, asyncpg.PostgresError) and classify(error) is not Failure.TRANSIENT:
        raise error
