"""Serves the lag as Prometheus metrics, from a process apart from the projector.

Names and labels are those that existing dashboards read: kafka_exporter's (`kafka_consumergroup_…`,
`kafka_topic_partition_…`) and, for seconds, kafka-lag-exporter's (`kafka_consumergroup_group_…_seconds`); ours begin
with `solve_`. A figure that could not be read is absent, never stale: `solve_source_up` names the server.
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
from solve_projector.lag.snapshot import Observer, PartitionSnapshot, Snapshot, Stage, StageLag
from solve_projector.lag.status import Assessment, Status, worst
from solve_projector.lag.windows import CommitWindows
from solve_runtime.metrics_server import serving_metrics
from solve_runtime.tasks import cancelled
from solve_schemas.topic import TOPIC_SETTINGS

SOURCES = ("kafka", "postgresql", "redis")
STALE_AFTER_S = 60.0
ESTIMATED = {  # what may be an estimate, and its metric
    "dead_letters": "solve_dead_letters",
    "parked_users": "solve_parked_users",
    "parked_events": "solve_parked_events",
    "outbox_rows": "solve_leaderboard_outbox_rows",
}

log = structlog.get_logger()
Samples = Sequence[tuple[tuple[str, ...], float]]


class LagCollector(Collector):
    """Collects the newest snapshot; nothing before the first."""

    def __init__(self, cluster_name: str, stale_after_s: float = STALE_AFTER_S) -> None:
        """Figures older than `stale_after_s` are left out."""
        self._cluster_name = cluster_name
        self._stale_after_s = stale_after_s
        self._newest: tuple[Snapshot, Mapping[int, Assessment]] | None = None

    def show(self, snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> None:
        """Replaces the snapshot that scrapes see."""
        self._newest = snapshot, assessments

    def collect(self) -> Iterator[Metric]:
        """Runs in the thread of a scrape, which sees one whole snapshot."""
        if self._newest is None:
            return
        snapshot, assessments = self._newest
        yield gauge("solve_last_snapshot_timestamp_seconds", "When these figures were read.", (), [((), snapshot.at_s)])
        if time() - snapshot.at_s > self._stale_after_s:
            return  # a server that hangs delays the next snapshot
        yield _sources(snapshot)
        yield from _log(snapshot)
        yield from _group(snapshot)
        yield from _seconds(snapshot, self._cluster_name)
        yield from _stages(snapshot)
        yield from _statuses(snapshot, assessments)
        yield from _retention(snapshot)
        yield from _backlog(snapshot)


def gauge(name: str, what: str, labels: tuple[str, ...], samples: Samples) -> GaugeMetricFamily:
    """A gauge with its samples."""
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _sources(snapshot: Snapshot) -> Metric:
    samples = [((source,), float(source not in snapshot.problems)) for source in SOURCES]
    return gauge("solve_source_up", "Whether the server answered at the last snapshot.", ("source",), samples)


def _log(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ("topic", "partition")
    if snapshot.log is None:
        return
    yield gauge(
        "kafka_topic_partitions", "Partitions of the log.", ("topic",), [((snapshot.topic,), len(snapshot.partitions))]
    )
    ends = [(_place(snapshot, one), one.end) for one in snapshot.partitions]
    begins = [(_place(snapshot, one), one.begin) for one in snapshot.partitions]
    yield gauge("kafka_topic_partition_current_offset", "High watermark of the partition.", labels, ends)
    yield gauge("kafka_topic_partition_oldest_offset", "First offset that is still there.", labels, begins)
    if "kafka" in snapshot.problems:
        return
    open_s = [
        (_place(snapshot, one), max(0.0, snapshot.at_s - one.transaction.since_s) if one.transaction else 0.0)
        for one in snapshot.partitions
    ]
    yield gauge("solve_open_transaction_seconds", "Age of the transaction that holds the partition.", labels, open_s)


def _group(snapshot: Snapshot) -> Iterator[Metric]:
    """PostgreSQL's lag, which is the truth; the group's commits in Kafka follow it."""
    labels = ("consumergroup", "topic", "partition")
    if snapshot.log is not None and "kafka" not in snapshot.problems:
        members = [((snapshot.group,), snapshot.members)]
        yield gauge("kafka_consumergroup_members", "Projectors in the group.", ("consumergroup",), members)
    applied = _at(snapshot, Stage.POSTGRESQL)
    if not applied:
        return
    offsets = [((snapshot.group, *_place(snapshot, one)), float(stage.offset)) for one, stage in applied]
    lags = [((snapshot.group, *_place(snapshot, one)), float(stage.lag)) for one, stage in applied]
    yield gauge("kafka_consumergroup_current_offset", "Next offset that PostgreSQL needs.", labels, offsets)
    yield gauge("kafka_consumergroup_lag", "Events that PostgreSQL lacks.", labels, lags)
    total = (snapshot.group, snapshot.topic)
    yield gauge(
        "kafka_consumergroup_current_offset_sum", "Over all partitions.", labels[:2],
        [(total, sum(stage.offset for _, stage in applied))],
    )  # fmt: skip
    yield gauge(
        "kafka_consumergroup_lag_sum", "Over all partitions.", labels[:2],
        [(total, sum(stage.lag for _, stage in applied))],
    )  # fmt: skip


def _seconds(snapshot: Snapshot, cluster_name: str) -> Iterator[Metric]:
    applied = _at(snapshot, Stage.POSTGRESQL)
    if not applied:
        return
    samples: list[tuple[tuple[str, ...], float]] = []
    for one, stage in applied:
        owner = (one.owner.host, one.owner.consumer_id, one.owner.client_id) if one.owner else ("", "", "")
        samples.append(((cluster_name, snapshot.group, *_place(snapshot, one), *owner), stage.seconds))
    labels = ("cluster_name", "group", "topic", "partition", "member_host", "consumer_id", "client_id")
    yield gauge(
        "kafka_consumergroup_group_lag_seconds",
        "Age of the oldest event that PostgreSQL lacks.",
        labels,
        samples,
    )
    yield gauge(
        "kafka_consumergroup_group_max_lag_seconds",
        "Over all partitions.",
        ("cluster_name", "group", "is_simple_consumer"),
        [((cluster_name, snapshot.group, "false"), max(stage.seconds for _, stage in applied))],
    )


def _stages(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ("stage", "topic", "partition")
    lags = gauge("solve_stage_lag", "Events that a stage lacks.", labels, [])
    seconds = gauge("solve_stage_lag_seconds", "Age of the oldest event that a stage lacks.", labels, [])
    for stage in Stage:
        for one, found in _at(snapshot, stage):
            lags.add_metric((stage.value, *_place(snapshot, one)), found.lag)
            seconds.add_metric((stage.value, *_place(snapshot, one)), found.seconds)
    yield lags
    yield seconds


def _statuses(snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> Iterator[Metric]:
    if not assessments:
        return
    each = gauge(
        "solve_partition_status",
        "1 for the partition's status, 0 for the others.",
        ("topic", "partition", "status"),
        [],
    )
    for partition, assessment in assessments.items():
        for status in Status:
            each.add_metric((snapshot.topic, str(partition), status.name), float(assessment.status is status))
    yield each
    group = worst(list(assessments.values()))
    samples = [((snapshot.group, status.name), float(group is status)) for status in Status]
    yield gauge("solve_group_status", "1 for the worst status of the group's partitions.", ("group", "status"), samples)


def _retention(snapshot: Snapshot) -> Iterator[Metric]:
    if snapshot.log is None:
        return
    unsafe = snapshot.log.unsafe_settings()
    samples = [((snapshot.topic, setting), float(setting in unsafe)) for setting in TOPIC_SETTINGS]
    yield gauge(
        "solve_topic_setting_unsafe",
        "1 where the log can lose events, or take too much memory.",
        ("topic", "setting"),
        samples,
    )
    if snapshot.retention_margin_s is not None:
        yield gauge(
            "solve_retention_margin_seconds", "Seconds until retention may delete the first record.", ("topic",),
            [((snapshot.topic,), snapshot.retention_margin_s)],
        )  # fmt: skip


def _backlog(snapshot: Snapshot) -> Iterator[Metric]:
    backlog = snapshot.backlog
    if backlog is None:
        return
    letters = [((reason,), float(number)) for reason, number in backlog.dead_letters.items()]
    yield gauge("solve_dead_letters", "Open dead letters.", ("reason",), letters)
    plain: list[tuple[str, str, float]] = [
        ("solve_parked_users", "Unknown users with unacknowledged parked events.", backlog.parked_users),
        ("solve_parked_events", "Unacknowledged parked events.", backlog.parked_events),
        (
            "solve_leaderboard_outbox_rows",
            "Changes without an offset that the board lacks.",
            backlog.outbox_rows,
        ),
    ]
    recount = "Age of the oldest withdrawn or restored problem whose solvers are not all counted anew, or 0."
    plain.append(("solve_recount_age_seconds", recount, backlog.recount_age_s))
    estimated = [((metric,), float(name in backlog.estimated)) for name, metric in ESTIMATED.items()]
    yield gauge("solve_backlog_estimated", "1 if the metric is an estimate, being large.", ("metric",), estimated)
    if run := backlog.last_replay:
        plain += [
            ("solve_audit_last_timestamp_seconds", "End of the last full replay or audit.", run.finished_at_s),
            ("solve_audit_drift", "1 if the last audit found drift that no replay has repaired.", float(run.drift)),
            ("solve_audit_drifted_users", "Users whose count the last audit found wrong.", run.users),
        ]
    for name, what, number in plain:
        yield gauge(name, what, (), [((), number)])


def _place(snapshot: Snapshot, one: PartitionSnapshot) -> tuple[str, str]:
    return snapshot.topic, str(one.partition)


def _at(snapshot: Snapshot, stage: Stage) -> list[tuple[PartitionSnapshot, StageLag]]:
    return [(one, one.stages[stage]) for one in snapshot.partitions if stage in one.stages]


async def serve(
    observer: Observer, collector: LagCollector, host: str, port: int, snapshots: int, interval_s: float
) -> None:
    """Takes snapshots until cancelled and serves them.

    Raises MetricsUnservable if it cannot listen on the address, and TopicMissing if there is no log at the start.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    windows = CommitWindows(snapshots, snapshots * interval_s)
    snapshot = await observer.snapshot()
    collector.show(snapshot, windows.add(snapshot))
    async with serving_metrics(host, port, registry, {}, "choose another with --port"):
        while not cancelled():
            await asyncio.sleep(interval_s)
            snapshot = await _next(observer)
            collector.show(snapshot, windows.add(snapshot))
            for source, problem in snapshot.problems.items():
                log.warning("a server did not answer", action="lag_source", source=source, error=problem)


async def _next(observer: Observer) -> Snapshot:
    """A missing log is when a monitor is needed most."""
    try:
        return await observer.snapshot()
    except TopicMissing as error:
        return observer.empty({"kafka": str(error)})
