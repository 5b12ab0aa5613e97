"""The offsets that the tables stand at; where PostgreSQL's own were moved by hand, its rows prove more."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from solve_projector.errors import LogHeadGone, TopicUnsafe
from solve_projector.log.inspection import LogInspector
from solve_projector.log.state import LogState, PartitionOffset
from solve_projector.store.offsets import read_offsets
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

COMPARISON_SQL = queries("solve_projector.replay", "comparison")


@dataclass(frozen=True, slots=True)
class AppliedOffsets:
    """By partition: the offset up to which the tables must be what the log says, and the one PostgreSQL claims."""

    offsets: Mapping[int, int]
    claimed: Mapping[int, int]

    @property
    def moved(self) -> list[dict[str, int]]:
        """Offsets that were moved by hand: below what was applied, or ahead of the log's end."""
        return [
            {"partition": p, "found": self.claimed[p], "restored": at}
            for p, at in sorted(self.offsets.items())
            if self.claimed[p] != at
        ]


async def read_row_offsets(connection: Connection) -> dict[int, int]:
    """By partition, the offset after the latest that a row names."""
    return {row[0]: row[1] + 1 for row in await connection.fetch(COMPARISON_SQL["reached"])}


async def read_applied_offsets(
    connection: Connection, inspector: LogInspector, partitions: Collection[int], row_offsets: Mapping[int, int]
) -> AppliedOffsets:
    """The offsets now, in the caller's transaction; `row_offsets` come from `read_row_offsets`."""
    progress = await read_offsets(connection, inspector.topic)
    # PostgreSQL first: the log only grows, so an offset beyond its end is no race
    ends = (await inspector.state()).ends
    claimed = {p: progress[p].next_offset if p in progress else 0 for p in partitions}
    offsets = {}
    for partition in partitions:
        row, end = progress.get(partition), ends[partition]
        last = row.last_offset + 1 if row and row.last_offset is not None else 0
        offsets[partition] = min(max(claimed[partition], last, row_offsets.get(partition, 0)), end)
    return AppliedOffsets(offsets, claimed)


def provable(progress: Mapping[int, PartitionOffset], state: LogState) -> Mapping[int, PartitionOffset]:
    """The offsets to verify the log by: one ahead of the log's end may have been moved by hand, while the records
    that PostgreSQL remembers still prove the log.

    Raises LogHeadGone, and TopicUnsafe for a compacted log: neither can prove a count.
    """
    if gone := {partition: at for partition, at in state.earliest.items() if at > 0}:
        partition, at = min(gone.items())
        raise LogHeadGone(
            f"topic {state.topic} partition {partition} begins at offset {at}: what came before was deleted, so this "
            "log cannot prove the counts; publish the history again to a new topic and set SOLVE_TOPIC"
        )
    if "compact" in state.settings.get("cleanup.policy", ""):
        raise TopicUnsafe(f"topic {state.topic} is compacted, so it cannot prove the counts; set cleanup.policy=delete")
    return {
        p: replace(row, next_offset=min(row.next_offset, state.ends[p]))
        if p in state.ends and row.last_offset is not None and row.last_offset < state.ends[p]
        else row
        for p, row in progress.items()
    }
