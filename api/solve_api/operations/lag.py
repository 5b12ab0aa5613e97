"""Measures the lag in the background while somebody looks, so that a request answers at once and a chart has a history.

Whoever looks after a rest waits for the first snapshot, and sees no older one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import structlog

from solve_api.attention import Attention
from solve_api.settings import ApiSettings
from solve_projector.errors import ProjectorError
from solve_projector.lag.report import as_dict, totals_of
from solve_projector.lag.snapshot import Observer, Snapshot, Stage, open_observer
from solve_projector.lag.status import Assessment
from solve_projector.lag.windows import CommitWindows
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import cancelled, in_background

INTERVAL_S = 2.0
FIRST_SNAPSHOT_S = 5.0
SNAPSHOTS_JUDGED = 10
SNAPSHOTS_CHARTED = 150

log = structlog.get_logger()


class LagPoint(NamedTuple):
    """The whole group at one time (seconds since 1970): events that each stage still lacks."""

    at_s: float
    lags: Mapping[Stage, int]


class LagWatch:
    """The latest snapshot and its history."""

    def __init__(self, group: str, topic: str) -> None:
        self._nothing = Snapshot(0.0, group, topic, problems={"kafka": "not measured yet"})
        self.attention = Attention()
        self._measured = asyncio.Event()  # or tried, since the last rest
        self.past: deque[LagPoint] = deque(maxlen=SNAPSHOTS_CHARTED)
        self.snapshot = self._nothing
        self._judgements: Mapping[int, Assessment] = {}

    async def report(self) -> dict[str, Any]:
        """The report of `solve-projector lag --json` with its history; of unavailable servers only the names."""
        self.attention.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SNAPSHOT_S):
                await self._measured.wait()
        report = as_dict(self.snapshot, self._judgements)
        report["problems"] = dict.fromkeys(report["problems"], "does not answer")
        report["past"] = [{"at": point.at_s, **{s.value: n for s, n in point.lags.items()}} for point in self.past]
        return report

    async def watch(self, connection: KafkaConnection, settings: ApiSettings) -> None:
        """Measures until cancelled, except while nobody looks; reconnects after Kafka was unavailable."""
        while not cancelled():
            await self.attention.rest(self.forget)
            try:
                async with open_observer(connection, settings) as observer:
                    await self._measure(observer)
            except ProjectorError as error:
                log.debug("the lag could not be measured", action="lag_unknown", error=str(error))
                self.snapshot, self._judgements = self._nothing, {}
                self._measured.set()
            await asyncio.sleep(INTERVAL_S)

    async def _measure(self, observer: Observer) -> None:
        windows = CommitWindows(SNAPSHOTS_JUDGED, SNAPSHOTS_JUDGED * INTERVAL_S)
        while not cancelled() and not self.attention.is_lost():
            snapshot = await observer.snapshot()
            self._judgements = windows.add(snapshot)
            self.snapshot = snapshot
            self.past.append(LagPoint(snapshot.at_s, totals_of(snapshot, self._judgements).lags))
            self._measured.set()
            await asyncio.sleep(INTERVAL_S)

    def forget(self) -> None:
        """Drops what was found: nobody measures for a while."""
        self.snapshot, self._judgements = self._nothing, {}
        self.past.clear()
        self._measured.clear()


@asynccontextmanager
async def watching_lag(connection: KafkaConnection, settings: ApiSettings) -> AsyncIterator[LagWatch]:
    """Measures in the background until closed."""
    watch = LagWatch(settings.group_id, connection.topic)
    async with in_background(partial(watch.watch, connection, settings), on_failure=watch.forget):
        yield watch
