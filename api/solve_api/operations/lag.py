"""Measures the lag in the background, so that a request answers at once and a chart has a history."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from solve_api.settings import ApiSettings
from solve_projector.errors import ProjectorError
from solve_projector.lag.report import as_dict, totals_of
from solve_projector.lag.snapshot import Observer, Snapshot, Stage, open_observer
from solve_projector.lag.status import Assessment
from solve_projector.lag.windows import CommitWindows
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import cancelled, in_background

INTERVAL_S = 2.0
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
        self._judgements: Mapping[int, Assessment] = {}
        self.snapshot = self._nothing
        self.past: deque[LagPoint] = deque(maxlen=SNAPSHOTS_CHARTED)

    def report(self) -> dict[str, Any]:
        """The report of `solve-projector lag --json` with its history; of unavailable servers only the names."""
        report = as_dict(self.snapshot, self._judgements)
        report["problems"] = dict.fromkeys(report["problems"], "does not answer")
        report["past"] = [{"at": point.at_s, **{s.value: n for s, n in point.lags.items()}} for point in self.past]
        return report

    async def watch(self, connection: KafkaConnection, settings: ApiSettings) -> None:
        """Measures until cancelled; reconnects after Kafka was unavailable."""
        while not cancelled():
            try:
                async with open_observer(connection, settings) as observer:
                    await self._measure(observer)
            except ProjectorError as error:
                log.debug("the lag could not be measured", action="lag_unknown", error=str(error))
                self.snapshot = self._nothing
                self._judgements = {}
            await asyncio.sleep(INTERVAL_S)

    async def _measure(self, observer: Observer) -> None:
        windows = CommitWindows(SNAPSHOTS_JUDGED, SNAPSHOTS_JUDGED * INTERVAL_S)
        while not cancelled():
            snapshot = await observer.snapshot()
            self._judgements = windows.add(snapshot)
            self.snapshot = snapshot
            self.past.append(LagPoint(snapshot.at_s, totals_of(snapshot, self._judgements).lags))
            await asyncio.sleep(INTERVAL_S)


@asynccontextmanager
async def watching_lag(connection: KafkaConnection, settings: ApiSettings) -> AsyncIterator[LagWatch]:
    """Measures in the background until closed."""
    watch = LagWatch(settings.group_id, connection.topic)
    async with in_background(watch.watch(connection, settings)):
        yield watch
