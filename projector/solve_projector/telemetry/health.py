"""Liveness and readiness of a process, each with the reason in words.

A restart helps only if the process itself is stuck: work and no progress although both PostgreSQL and Kafka answer, or
a blocked event loop. An unavailable server makes a projector not ready and leaves it alive. Written by the event loop
and read by the thread that serves it, so every value is replaced as a whole.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from math import inf
from time import monotonic

# A server counts as silent after this many missed checks.
CHECKS_MISSED = 3
LEAST_PATIENCE_S = 15.0
LIVENESS_TIMEOUT_S = 180.0


class Condition(StrEnum):
    """What a projector needs in order to work."""

    POSTGRESQL = "postgresql"
    KAFKA = "kafka"
    GROUP = "group"
    LEADERBOARD = "leaderboard"
    LOG_SAFE = "log_safe"


class Standstill:
    """How long there has been work and no progress. Only time between two answered checks counts."""

    def __init__(self, clock: Callable[[], float] = monotonic, max_gap_s: float = inf) -> None:
        """A gap between two checks counts for at most `max_gap_s`: in a longer one somebody did not answer."""
        self._clock = clock
        self._max_gap_s = max_gap_s
        self._checked_at: float | None = None
        self._answered_s = 0.0
        self._offsets: Mapping[int, int] = {}
        self._moved_at: dict[int, float] = {}
        self._mine: frozenset[int] = frozenset()
        self.stuck: Mapping[int, float] = {}

    @property
    def seconds(self) -> float:
        """For the partition that has stood still longest; 0 if there is no work."""
        return max(self.stuck.values(), default=0.0)

    def observe(self, offsets: Mapping[int, int], ends: Mapping[int, int], mine: Collection[int]) -> None:
        """Takes PostgreSQL's offsets, the log's ends, and the partitions that this process must move."""
        now = self._clock()
        if self._checked_at is not None:
            self._answered_s += min(now - self._checked_at, self._max_gap_s)
        self._checked_at = now
        for partition, end in ends.items():
            at = offsets.get(partition, 0)
            moved = at != self._offsets.get(partition, 0) or at >= end
            if moved or partition not in self._moved_at or (partition in mine and partition not in self._mine):
                self._moved_at[partition] = self._answered_s
        self._offsets, self._mine = dict(offsets), frozenset(mine)
        self.stuck = {
            partition: self._answered_s - self._moved_at[partition]
            for partition, end in ends.items()
            if partition in mine and offsets.get(partition, 0) < end
        }

    def pause(self) -> None:
        """Does not count the time until the next check: a server did not answer, or waiting is right."""
        self._checked_at = None


class Health:
    """One process's liveness and readiness."""

    def __init__(
        self,
        liveness_timeout_s: float = LIVENESS_TIMEOUT_S,
        check_interval_s: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """PostgreSQL and Kafka are asked at least once every `check_interval_s`."""
        self._patience_s = max(LEAST_PATIENCE_S, CHECKS_MISSED * check_interval_s)
        self.standstill = Standstill(clock, self._patience_s)
        self.group_problem: Callable[[], str | None] = lambda: "has not asked to join the group yet"
        self._liveness_timeout_s = liveness_timeout_s
        self._clock = clock
        self._beat_at = clock()
        self._answered_at: dict[Condition, float] = {}
        self._missing: dict[Condition, str] = {
            condition: "not checked yet" for condition in Condition if condition is not Condition.GROUP
        }

    def beat(self) -> None:
        """The event loop is not blocked."""
        self._beat_at = self._clock()

    def met(self, condition: Condition) -> None:
        """The condition holds now."""
        self._answered_at = self._answered_at | {condition: self._clock()}
        self._missing = {other: why for other, why in self._missing.items() if other is not condition}

    def missing(self, condition: Condition, why: str) -> None:
        """The condition does not hold until it is met again."""
        self._missing = self._missing | {condition: why}

    def is_met(self, condition: Condition) -> bool:
        """Whether the condition holds."""
        return condition not in self.not_ready()

    def why_dead(self) -> str | None:
        """Why only a restart can help; None while the process is alive."""
        blocked = self._clock() - self._beat_at
        if blocked > self._liveness_timeout_s:
            return f"the event loop has been blocked for {blocked:.0f} s"
        stuck = {p: seconds for p, seconds in self.standstill.stuck.items() if seconds > self._liveness_timeout_s}
        if stuck:
            where = ", ".join(map(str, sorted(stuck)))
            return (
                f"no progress for {max(stuck.values()):.0f} s although there is work (partitions {where}) "
                "and PostgreSQL and Kafka answer"
            )
        return None

    def not_ready(self) -> dict[Condition, str]:
        """What is missing, in words; empty if the process does its work."""
        found = dict(self._missing)
        for condition in (Condition.POSTGRESQL, Condition.KAFKA):
            silent = self._clock() - self._answered_at.get(condition, self._clock())
            if condition not in found and silent > self._patience_s:
                found[condition] = f"no answer for {silent:.0f} s"
        if problem := self.group_problem():
            found[Condition.GROUP] = problem
        return {condition: found[condition] for condition in Condition if condition in found}
