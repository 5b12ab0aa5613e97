"""The one object that the parts of a projector report to: metrics, health and traces.

A part that is given none makes its own, so that it can run alone.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Self

from prometheus_client import Gauge

from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import is_unavailable, said_of, sqlstate_of
from solve_projector.telemetry.health import Condition, Health
from solve_projector.telemetry.metrics import ProjectorMetrics, Server
from solve_projector.telemetry.tracing import Tracing, untraced


@dataclass(frozen=True, slots=True)
class Monitor:
    """Counters, conditions and traces of one process."""

    metrics: ProjectorMetrics = field(default_factory=ProjectorMetrics)
    health: Health = field(default_factory=Health)
    tracing: Tracing = untraced

    @classmethod
    def of(cls, settings: ProjectorSettings, topic: str, tracing: Tracing) -> Self:
        """With the limits of the settings, and with readiness as a metric."""
        interval_s = max(settings.log_check_interval_s, settings.leaderboard_check_interval_s)
        made = cls(
            ProjectorMetrics(topic, settings.group_id),
            Health(settings.liveness_timeout_s, check_interval_s=interval_s),
            tracing,
        )
        ready = Gauge(
            "solve_projector_ready_condition",
            "1 if this condition of readiness holds; /readyz says why one does not.",
            ("condition",),
            registry=made.metrics.registry,
        )
        for condition in Condition:
            ready.labels(condition).set_function(partial(made.health.is_met, condition))
        return made

    def database_answered(self) -> None:
        """PostgreSQL answered."""
        self.health.met(Condition.POSTGRESQL)

    def database_failed(self, error: BaseException) -> None:
        """PostgreSQL failed and will be retried; a refused statement is an answer too."""
        self.metrics.retried(Server.POSTGRESQL)
        self.metrics.database_failed(sqlstate_of(error))
        if is_unavailable(error):
            self.health.missing(Condition.POSTGRESQL, f"PostgreSQL: {said_of(error)}")
        else:
            self.health.met(Condition.POSTGRESQL)

    def log_answered(self) -> None:
        """Kafka answered."""
        self.health.met(Condition.KAFKA)

    def log_failed(self, error: BaseException) -> None:
        """Kafka failed and will be retried."""
        self.metrics.retried(Server.KAFKA)
        self.health.missing(Condition.KAFKA, said_of(error))

    def board_failed(self, error: BaseException) -> None:
        """Redis failed; the next check retries."""
        self.metrics.retried(Server.REDIS)
        self.health.missing(Condition.LEADERBOARD, said_of(error))
