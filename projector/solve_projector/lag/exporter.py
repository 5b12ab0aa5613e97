"""What does Prometheus read of the lag? A looking loop and a scrape endpoint, in a process apart from the projector.

Names and labels are those that existing dashboards read: kafka_exporter's (`kafka_consumergroup_…`,
`kafka_topic_partition_…`) and, for seconds, kafka-lag-exporter's (`kafka_consumergroup_group_…_seconds`); ours begin
with `solve_`. What could not be asked is absent, never stale: `solve_source_up` says which server it was.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from time import time

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from solve_projector.errors import TopicMissing
from solve_projector.lag.history import History
from solve_projector.lag.snapshot import Look, Observer, PartitionLook, Stage, StageLag
from solve_projector.lag.status import Judgement, Status, worst
from solve_projector.telemetry.http_server import serving_metrics
from solve_runtime.tasks import cancelled
from solve_schemas.topic import TOPIC_SETTINGS

SOURCES = ("kafka", "postgresql", "redis")
STALE_AFTER_S = 60.0

log = structlog.get_logger()
Samples = Sequence[tuple[tuple[str, ...], float]]


class LagCollector(Collector):
    """The newest look as metrics; nothing before the first."""

    def __init__(self, cluster_name: str, stale_after_s: float = STALE_AFTER_S) -> None:
        """Figures older than `stale_after_s` are not shown."""
        self._cluster_name = cluster_name
        self._stale_after_s = stale_after_s
        self._newest: tuple[Look, Mapping[int, Judgement]] | None = None

    def show(self, look: Look, judgements: Mapping[int, Judgement]) -> None:
        """Replaces what is scraped."""
        self._newest = look, judgements

    def collect(self) -> Iterator[Metric]:
        """Called by a scrape, in another thread: it sees one whole look."""
        if self._newest is None:
            return
        look, judgements = self._newest
        yield gauge("solve_last_snapshot_timestamp_seconds", "When these figures were read.", (), [((), look.at_s)])
        if time() - look.at_s > self._stale_after_s:
            return  # a server that neither answers nor refuses holds the next look up
        yield _sources(look)
        yield from _log(look)
        yield from _group(look)
        yield from _seconds(look, self._cluster_name)
        yield from _stages(look)
        yield from _statuses(look, judgements)
        yield from _retention(look)
        yield from _backlog(look)


def gauge(name: str, what: str, labels: tuple[str, ...], samples: Samples) -> GaugeMetricFamily:
    """One gauge and its samples, each with its label values."""
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _sources(look: Look) -> Metric:
    samples = [((source,), float(source not in look.problems)) for source in SOURCES]
    return gauge("solve_source_up", "Whether the server answered at the last look.", ("source",), samples)


def _log(look: Look) -> Iterator[Metric]:
    labels = ("topic", "partition")
    if look.log is None:
        return
    yield gauge("kafka_topic_partitions", "Partitions of the log.", ("topic",), [((look.topic,), len(look.partitions))])
    ends = [(_place(look, one), one.end) for one in look.partitions]
    begins = [(_place(look, one), one.begin) for one in look.partitions]
    yield gauge("kafka_topic_partition_current_offset", "End of the partition.", labels, ends)
    yield gauge("kafka_topic_partition_oldest_offset", "First offset that is still there.", labels, begins)


def _group(look: Look) -> Iterator[Metric]:
    """The lag of the truth: PostgreSQL's, which the group's commits in Kafka follow."""
    labels = ("consumergroup", "topic", "partition")
    if look.log is not None and "kafka" not in look.problems:
        members = [((look.group,), look.members)]
        yield gauge("kafka_consumergroup_members", "Projectors in the group.", ("consumergroup",), members)
    applied = _at(look, Stage.POSTGRESQL)
    if not applied:
        return
    offsets = [((look.group, *_place(look, one)), float(stage.offset)) for one, stage in applied]
    lags = [((look.group, *_place(look, one)), float(stage.lag)) for one, stage in applied]
    yield gauge("kafka_consumergroup_current_offset", "Next offset that PostgreSQL needs.", labels, offsets)
    yield gauge("kafka_consumergroup_lag", "Events that PostgreSQL has not.", labels, lags)
    total = (look.group, look.topic)
    yield gauge(
        "kafka_consumergroup_current_offset_sum", "Over all partitions.", labels[:2],
        [(total, sum(stage.offset for _, stage in applied))],
    )  # fmt: skip
    yield gauge(
        "kafka_consumergroup_lag_sum", "Over all partitions.", labels[:2],
        [(total, sum(stage.lag for _, stage in applied))],
    )  # fmt: skip


def _seconds(look: Look, cluster_name: str) -> Iterator[Metric]:
    applied = _at(look, Stage.POSTGRESQL)
    if not applied:
        return
    samples: list[tuple[tuple[str, ...], float]] = []
    for one, stage in applied:
        owner = (one.owner.host, one.owner.consumer_id, one.owner.client_id) if one.owner else ("", "", "")
        samples.append(((cluster_name, look.group, *_place(look, one), *owner), stage.seconds))
    labels = ("cluster_name", "group", "topic", "partition", "member_host", "consumer_id", "client_id")
    yield gauge(
        "kafka_consumergroup_group_lag_seconds", "Age of the oldest event that PostgreSQL has not.", labels, samples
    )
    yield gauge(
        "kafka_consumergroup_group_max_lag_seconds",
        "Over all partitions.",
        ("cluster_name", "group", "is_simple_consumer"),
        [((cluster_name, look.group, "false"), max(stage.seconds for _, stage in applied))],
    )


def _stages(look: Look) -> Iterator[Metric]:
    labels = ("stage", "topic", "partition")
    lags = gauge("solve_stage_lag", "Events that a stage has not.", labels, [])
    seconds = gauge("solve_stage_lag_seconds", "Age of the oldest event that a stage has not.", labels, [])
    for stage in Stage:
        for one, found in _at(look, stage):
            lags.add_metric((stage.value, *_place(look, one)), found.lag)
            seconds.add_metric((stage.value, *_place(look, one)), found.seconds)
    yield lags
    yield seconds


def _statuses(look: Look, judgements: Mapping[int, Judgement]) -> Iterator[Metric]:
    if not judgements:
        return
    each = gauge("solve_partition_status", "1 for the status it has.", ("topic", "partition", "status"), [])
    for partition, judgement in judgements.items():
        for status in Status:
            each.add_metric((look.topic, str(partition), status.name), float(judgement.status is status))
    yield each
    group = worst(list(judgements.values()))
    samples = [((look.group, status.name), float(group is status)) for status in Status]
    yield gauge("solve_group_status", "The worst of its partitions.", ("group", "status"), samples)


def _retention(look: Look) -> Iterator[Metric]:
    if look.log is None:
        return
    unsafe = look.log.unsafe_settings()
    samples = [((look.topic, setting), float(setting in unsafe)) for setting in TOPIC_SETTINGS]
    yield gauge("solve_topic_setting_unsafe", "1 where the log can lose its proof.", ("topic", "setting"), samples)
    if look.retention_margin_s is not None:
        yield gauge(
            "solve_retention_margin_seconds", "Until retention deletes the first record.", ("topic",),
            [((look.topic,), look.retention_margin_s)],
        )  # fmt: skip


def _backlog(look: Look) -> Iterator[Metric]:
    backlog = look.backlog
    if backlog is None:
        return
    letters = [((reason,), float(number)) for reason, number in backlog.dead_letters.items()]
    yield gauge("solve_dead_letters", "Open dead letters.", ("reason",), letters)
    plain: list[tuple[str, str, float]] = [
        ("solve_parked_users", "Users nobody registered, with events that nobody acknowledged.", backlog.parked_users),
        ("solve_parked_events", "Their events.", backlog.parked_events),
        ("solve_leaderboard_outbox_rows", "Changes without an offset that the board has not.", backlog.outbox_rows),
    ]
    if run := backlog.last_replay:
        plain += [
            ("solve_audit_last_timestamp_seconds", "End of the last full replay or audit.", run.finished_at_s),
            ("solve_audit_drift", "1 where the last audit found drift that no replay repaired.", float(run.drift)),
            ("solve_audit_drifted_users", "Users whose number that audit found wrong.", run.users),
        ]
    for name, what, number in plain:
        yield gauge(name, what, (), [((), number)])


def _place(look: Look, one: PartitionLook) -> tuple[str, str]:
    return look.topic, str(one.partition)


def _at(look: Look, stage: Stage) -> list[tuple[PartitionLook, StageLag]]:
    return [(one, one.stages[stage]) for one in look.partitions if stage in one.stages]


async def serve(
    observer: Observer, collector: LagCollector, host: str, port: int, looks: int, interval_s: float
) -> None:
    """Looks for ever and lets Prometheus read.

    Raises MetricsUnservable where the address cannot be had, and TopicMissing where there was no log to begin with.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    history = History(looks)
    look = await observer.look()
    collector.show(look, history.add(look))
    async with serving_metrics(host, port, registry, {}, "choose another with --port"):
        while not cancelled():
            await asyncio.sleep(interval_s)
            look = await _look_again(observer)
            collector.show(look, history.add(look))
            for source, problem in look.problems.items():
                log.warning("a server could not be asked", action="lag_source", source=source, error=problem)


async def _look_again(observer: Observer) -> Look:
    """A log that is gone is when a monitor is needed most."""
    try:
        return await observer.look()
    except TopicMissing as error:
        return observer.nothing({"kafka": str(error)})
