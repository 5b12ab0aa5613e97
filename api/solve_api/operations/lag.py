"""How far behind is each stage, and how has that gone lately? Looks beside the requests, so that a chart has a past."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from solve_api.settings import ApiSettings
from solve_projector.errors import ProjectorError
from solve_projector.lag.history import History
from solve_projector.lag.report import as_dict, totals_of
from solve_projector.lag.snapshot import Look, Observer, Stage, open_observer
from solve_projector.lag.status import Judgement
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import cancel_and_wait, cancelled

LOOK_S = 2.0
LOOKS_JUDGED = 10
LOOKS_CHARTED = 150

log = structlog.get_logger()


class LagPoint(NamedTuple):
    """The whole group at one moment (seconds since 1970): messages that each stage has not."""

    at_s: float
    lags: Mapping[Stage, int]


class LagWatch:
    """The last look and those before it."""

    def __init__(self, group: str, topic: str) -> None:
        self._nothing = Look(0.0, group, topic, problems={"kafka": "nobody has looked yet"})
        self._judgements: Mapping[int, Judgement] = {}
        self.look = self._nothing
        self.past: deque[LagPoint] = deque(maxlen=LOOKS_CHARTED)

    def report(self) -> dict[str, Any]:
        """As `solve-projector lag --json` says it, and the past; servers that did not answer by name alone."""
        said = as_dict(self.look, self._judgements)
        said["problems"] = dict.fromkeys(said["problems"], "does not answer")
        said["past"] = [{"at": point.at_s, **{s.value: n for s, n in point.lags.items()}} for point in self.past]
        return said

    async def watch(self, connection: KafkaConnection, settings: ApiSettings) -> None:
        """For ever; opens its connections anew where Kafka was away."""
        while not cancelled():
            try:
                async with open_observer(connection, settings) as observer:
                    await self._look_again_and_again(observer)
            except ProjectorError as error:
                log.debug("lag could not be looked at", action="lag_unknown", error=str(error))
                self.look = self._nothing
                self._judgements = {}
            await asyncio.sleep(LOOK_S)

    async def _look_again_and_again(self, observer: Observer) -> None:
        history = History(LOOKS_JUDGED)
        while not cancelled():
            look = await observer.look()
            self._judgements = history.add(look)
            self.look = look
            self.past.append(LagPoint(look.at_s, totals_of(look, self._judgements).lags))
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def watching_lag(connection: KafkaConnection, settings: ApiSettings) -> AsyncIterator[LagWatch]:
    """Looks until it is closed."""
    watch = LagWatch(settings.group_id, connection.topic)
    task = asyncio.create_task(watch.watch(connection, settings))
    try:
        yield watch
    finally:
        await cancel_and_wait([task])
