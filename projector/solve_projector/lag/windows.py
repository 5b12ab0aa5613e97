"""Sliding windows of each partition's commits, filled by snapshots, from which its status is assessed.

Burrow's windows hold commits to Kafka. Here a commit is added when PostgreSQL's offset has moved, and at each snapshot
in which a member of the group reads the partition: by not moving, that member says where it is. A partition without a
reader gets no commits, so that STOP shows. While a window is empty, the row's own time stands for a commit.
"""

from collections import defaultdict, deque
from collections.abc import Mapping

from solve_projector.lag.snapshot import PartitionSnapshot, Snapshot, Stage
from solve_projector.lag.status import Assessment, Commit, CommitWindow, assess


class CommitWindows:
    """One window a partition, each over the last `snapshots` snapshots of a group, in `span_s` seconds."""

    def __init__(self, snapshots: int, span_s: float) -> None:
        self._span_s = span_s
        self._commits: dict[int, deque[Commit]] = defaultdict(lambda: deque(maxlen=snapshots))
        self._ends: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=snapshots))

    def add(self, snapshot: Snapshot) -> Mapping[int, Assessment]:
        """Adds a snapshot and assesses each partition; none where PostgreSQL or Kafka did not answer."""
        assessments: dict[int, Assessment] = {}
        if "kafka" in snapshot.problems:
            return assessments  # nobody knows who reads a partition
        for one in snapshot.partitions:
            applied = one.stages.get(Stage.POSTGRESQL)
            if applied is None:
                continue
            self._ends[one.partition].append(one.stable_end)
            self._remember(one, snapshot.at_s)
            window = CommitWindow(
                tuple(self._commits[one.partition]),
                tuple(self._ends[one.partition]),
                one.begin,
                applied.offset,
                _readable(one),
                one.transaction,
                self._span_s,
            )
            assessments[one.partition] = assess(window, snapshot.at_s)
        return assessments

    def _remember(self, one: PartitionSnapshot, at_s: float) -> None:
        commits, applied = self._commits[one.partition], one.stages[Stage.POSTGRESQL]
        if one.owner or (commits and commits[-1].offset != applied.offset):
            commits.append(Commit(at_s, applied.offset, _readable(one)))
        elif not commits and one.applied_at_s is not None and applied.offset > 0:
            commits.append(Commit(one.applied_at_s, applied.offset, None))


def _readable(one: PartitionSnapshot) -> int:
    """The lag without what an open transaction hides."""
    applied = one.stages[Stage.POSTGRESQL]
    return applied.lag - max(0, one.end - max(applied.offset, one.stable_end))
