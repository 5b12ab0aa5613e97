"""What did each partition's consumer do lately? Turns looks into the sliding window that the rules judge.

Burrow's windows are of commits. Here an entry is added where PostgreSQL's offset has moved, and at each look at which
the group has a member that reads the partition: it is there, and says by not moving that it is where it was. A
partition without one gets no entries, so that STOP shows. Before there is any, the row's own time stands for a commit.
"""

from collections import defaultdict, deque
from collections.abc import Mapping

from solve_projector.lag.snapshot import Look, PartitionLook, Stage
from solve_projector.lag.status import Entry, Judgement, Window, judge


class History:
    """The last `looks` looks at one group."""

    def __init__(self, looks: int) -> None:
        self._entries: dict[int, deque[Entry]] = defaultdict(lambda: deque(maxlen=looks))
        self._ends: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=looks))

    def add(self, look: Look) -> Mapping[int, Judgement]:
        """The judgement of each partition with this look; of none where PostgreSQL or Kafka could not be asked."""
        judgements: dict[int, Judgement] = {}
        if "kafka" in look.problems:
            return judgements  # who reads a partition is not known
        for one in look.partitions:
            applied = one.stages.get(Stage.POSTGRESQL)
            if applied is None:
                continue
            self._ends[one.partition].append(one.end)
            self._remember(one, look.at_s)
            window = Window(
                tuple(self._entries[one.partition]),
                tuple(self._ends[one.partition]),
                one.begin,
                applied.offset,
                applied.lag,
            )
            judgements[one.partition] = judge(window, look.at_s)
        return judgements

    def _remember(self, one: PartitionLook, at_s: float) -> None:
        entries, applied = self._entries[one.partition], one.stages[Stage.POSTGRESQL]
        if one.owner or (entries and entries[-1].offset != applied.offset):
            entries.append(Entry(at_s, applied.offset, applied.lag))
        elif not entries and one.applied_at_s is not None and applied.offset > 0:
            entries.append(Entry(one.applied_at_s, applied.offset, None))
