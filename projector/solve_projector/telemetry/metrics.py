"""A projector's Prometheus metrics: a fixed set of series, counted once per batch.

No label names a user, a submission or a problem, and a `ce_type` that this version does not know is "unknown", so that
nobody who writes to the topic can make the number of series grow.
"""

import time
from collections import Counter as Tally
from collections.abc import Set as AbstractSet
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from solve_projector.domain.batch import Batch, LogRecord
from solve_projector.domain.rule import is_verdict
from solve_projector.store.counts import Applied
from solve_schemas.events import EVENT_MODELS
from solve_schemas.rejection import Reason, Rejected

UNKNOWN_TYPE = "unknown"
APPLIED, PARKED, DEAD_LETTER = "applied", "parked", "dead_letter"
REBUILD_REASONS = ("no_board", "members_missing", "lost_write", "new_epoch")

RECORDS_BUCKETS = (1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000)
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)
# as OpenTelemetry's messaging conventions say
MESSAGING_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
MESSAGING_LABELS = ("messaging_system", "messaging_destination_name", "messaging_consumer_group_name")


class BatchStage(StrEnum):
    """The stages that a batch goes through."""

    FETCH = "fetch"
    DECODE = "decode"
    POSTGRESQL = "postgresql"
    REDIS = "redis"


class Server(StrEnum):
    """The servers that a projector needs."""

    KAFKA = "kafka"
    POSTGRESQL = "postgresql"
    REDIS = "redis"


GRAVE_STATES = ("53100", "53200", "58030")  # a full disk, no memory, an input or output error


class ProjectorMetrics:
    """The metrics of one process, in a registry of their own. Every method is cheap, and called per batch or less."""

    def __init__(self, topic: str = "", group: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._make_batch_metrics()
        self._make_event_metrics()
        names = ("kafka", topic, group)
        self._consumed = Counter(
            "messaging_client_consumed_messages", "Records taken from Kafka, also those read again after a fence.",
            MESSAGING_LABELS, registry=self.registry,
        ).labels(*names)  # fmt: skip
        self._processed = Histogram(
            "messaging_process_duration_seconds", "From a complete batch to its transaction's end, committed or not.",
            MESSAGING_LABELS, buckets=MESSAGING_BUCKETS_S, registry=self.registry,
        ).labels(*names)  # fmt: skip

    def _make_batch_metrics(self) -> None:
        self._batch_records = Histogram(
            "solve_projector_batch_records", "Records of a committed transaction.",
            buckets=RECORDS_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._stage = Histogram(
            "solve_projector_stage_duration_seconds",
            "Of a batch; fetch includes the wait for its first record, so it is long while the log is idle.",
            ("stage",), buckets=STAGE_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._latency = Histogram(
            "solve_projector_latency_seconds",
            "From the broker's timestamp of a batch's oldest record until PostgreSQL, or Redis, has it.",
            ("stage",), buckets=LATENCY_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._retries = self._counter("retries", "Retries, by the server that failed.", "stage")
        self._database_errors = self._counter(
            "database_errors", "Failures of PostgreSQL that were retried, by SQLSTATE.", "sqlstate"
        )
        self._fences = self._counter("fences", "Batches not applied because another writer moved the offsets first.")
        self._rebalances = self._counter("rebalances", "Assignments of partitions, the first one included.")
        self._assigned = Gauge(
            "solve_projector_assigned_partitions", "Partitions assigned to this process.", registry=self.registry
        )
        self._progress = Gauge(
            "solve_projector_last_progress_timestamp_seconds", "Time of the last commit, or of the start.",
            registry=self.registry,
        )  # fmt: skip
        self._transaction = Gauge(
            "solve_projector_open_transaction_seconds", "Age of the oldest transaction that holds a partition, or 0.",
            registry=self.registry,
        )  # fmt: skip
        self._progress.set_to_current_time()
        for stage in BatchStage:
            self._stage.labels(stage)
        for stage in (BatchStage.POSTGRESQL, BatchStage.REDIS):
            self._latency.labels(stage)
        for server in Server:
            self._retries.labels(server)
        for sqlstate in GRAVE_STATES:
            self._database_errors.labels(sqlstate)

    def _make_event_metrics(self) -> None:
        self._events = Counter(
            "solve_projector_events", "Records by type and by outcome when they were read.",
            ("type", "outcome"), registry=self.registry,
        )  # fmt: skip
        self._dead_letters = self._counter("dead_letters", "Dead letters by reason.", "reason")
        self._mis_keyed = self._counter("mis_keyed", "Records whose key is not their user's id; applied all the same.")
        self._losing = self._counter(
            "losing_verdicts", "Verdicts later in the log than the standing one and judged earlier; no redeliveries."
        )
        self._rebuilds = self._counter(
            "leaderboard_rebuilds", "Leaderboards rebuilt from PostgreSQL, by reason.", "reason"
        )
        self._swept = self._counter("swept_users", "Users whose parked events the sweep applied.")
        self._recounted = self._counter("recounted_users", "Users counted anew after a fact about a problem.")
        for name in (*EVENT_MODELS, UNKNOWN_TYPE):
            self._events.labels(name, DEAD_LETTER)
        for name in EVENT_MODELS:
            self._events.labels(name, APPLIED)
            self._events.labels(name, PARKED)
        for why in Reason:
            self._dead_letters.labels(why)
        for reason in REBUILD_REASONS:
            self._rebuilds.labels(reason)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"solve_projector_{name}", says, labels, registry=self.registry)

    def assigned(self, partitions: int) -> None:
        """The group assigned this many partitions."""
        self._rebalances.inc()
        self._assigned.set(partitions)

    def revoked(self) -> None:
        """The process has no partitions until the next assignment."""
        self._assigned.set(0)

    def read(self, batches: int, records: int, fetch_s: float, decode_s: float) -> None:
        """One read gave these batches, mostly one; each of several gets its share of the time."""
        self._consumed.inc(records)
        for _ in range(batches):
            self._stage.labels(BatchStage.FETCH).observe(fetch_s / batches)
            self._stage.labels(BatchStage.DECODE).observe(decode_s / batches)

    def applied(self, batch: Batch, applied: Applied) -> None:
        """A transaction was committed."""
        self._batch_records.observe(applied.records)
        self._stage.labels(BatchStage.POSTGRESQL).observe(applied.seconds)
        self._progress.set_to_current_time()
        self._mis_keyed.inc(applied.mis_keyed)
        self.lost(len(applied.losing))
        self.reached(BatchStage.POSTGRESQL, applied)
        for (name, outcome), number in outcomes(batch, applied.unknown_users).items():
            self._events.labels(name, outcome).inc(number)
        if applied.dead_letters:
            for reason, number in _reasons(batch).items():
                self.dead_lettered(reason, number)

    def processed(self, seconds: float) -> None:
        """A batch was committed, halved, or given up to be read again."""
        self._processed.observe(seconds)

    def on_board(self, applied: Applied, seconds: float) -> None:
        """A commit's changes were written to Redis."""
        self._stage.labels(BatchStage.REDIS).observe(seconds)
        self.reached(BatchStage.REDIS, applied)

    def reached(self, stage: BatchStage, applied: Applied) -> None:
        """Measures from the broker's clock to ours; 0 if ours is slow."""
        if applied.oldest_timestamp_ms is not None:
            self._latency.labels(stage).observe(max(0.0, time.time() - applied.oldest_timestamp_ms / 1000))

    def dead_lettered(self, reason: Reason, number: int = 1) -> None:
        """Dead letters were stored."""
        self._dead_letters.labels(reason).inc(number)

    def lost(self, verdicts: int) -> None:
        """Verdicts that came later and were judged earlier."""
        self._losing.inc(verdicts)

    def retried(self, server: Server) -> None:
        """Something will be tried again."""
        self._retries.labels(server).inc()

    def database_failed(self, sqlstate: str) -> None:
        """PostgreSQL failed with this code."""
        self._database_errors.labels(sqlstate).inc()

    def transaction_open(self, seconds: float) -> None:
        """The oldest open transaction has held a partition for so long; 0 if there is none."""
        self._transaction.set(seconds)

    def fenced(self) -> None:
        """Another writer moved the offsets first."""
        self._fences.inc()

    def rebuilt(self, reason: str) -> None:
        """The leaderboard was rebuilt."""
        self._rebuilds.labels(reason).inc()

    def recounted(self, users: int) -> None:
        """Users were counted anew, because a problem counts from now on, or no longer."""
        self._recounted.inc(users)

    def swept(self, users: int) -> None:
        """Parked events were applied."""
        self._swept.inc(users)


def outcomes(batch: Batch, unknown_users: AbstractSet[str]) -> Tally[tuple[str, str]]:
    """How many records of each type were applied, parked and dead-lettered by a committed batch."""
    found = Tally((said.type_name, APPLIED) for _, said in batch.records if not isinstance(said, Rejected))
    found.update((_named_type(record), DEAD_LETTER) for record, said in batch.records if isinstance(said, Rejected))
    if unknown_users:
        for _, said in batch.records:
            if is_verdict(said) and said.user_id in unknown_users:
                found[said.type_name, APPLIED] -= 1
                found[said.type_name, PARKED] += 1
    return found


def _named_type(record: LogRecord) -> str:
    """The type that a record names, or "unknown" if it names none that we know."""
    for name, content in record.headers:
        if name == "ce_type":
            named = (content or b"").decode("utf-8", "replace")
            return named if named in EVENT_MODELS else UNKNOWN_TYPE
    return UNKNOWN_TYPE


def _reasons(batch: Batch) -> Tally[Reason]:
    return Tally(said.reason for _, said in batch.records if isinstance(said, Rejected))
