"""Up to which offset does PostgreSQL speak of the log? Where its offsets were moved by hand, its rows tell."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from solve_projector.errors import LogHeadGone, TopicUnsafe
from solve_projector.log.inspection import LogInspector
from solve_projector.log.state import LogState, PartitionOffset
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

COMPARISON_SQL = queries("solve_projector.replay", "comparison")
OFFSETS_SQL = queries("solve_projector.store", "offsets")


@dataclass(frozen=True, slots=True)
class Targets:
    """Per partition: the offset up to which the tables are to be what the log says, and what PostgreSQL claims."""

    offsets: Mapping[int, int]
    claimed: Mapping[int, int]

    @property
    def moved(self) -> list[dict[str, int]]:
        """Offsets that somebody moved: back behind what was applied, or ahead of the log's end."""
        return [
            {"partition": p, "found": self.claimed[p], "restored": at}
            for p, at in sorted(self.offsets.items())
            if self.claimed[p] != at
        ]


async def read_applied(connection: Connection) -> dict[int, int]:
    """Per partition, the offset after the latest one that a row names."""
    return {row[0]: row[1] + 1 for row in await connection.fetch(COMPARISON_SQL["reached"])}


async def read_targets(
    connection: Connection, inspector: LogInspector, partitions: Collection[int], applied: Mapping[int, int]
) -> Targets:
    """What PostgreSQL says now, in the caller's transaction, beside the log's ends; `applied` from `read_applied`."""
    rows = await connection.fetch(OFFSETS_SQL["read_offsets"], inspector.topic)
    progress = {row["partition"]: PartitionOffset(*row) for row in rows}
    # PostgreSQL first: the log only grows, so an offset beyond its end is no race
    ends = (await inspector.state()).ends
    claimed = {p: progress[p].next_offset if p in progress else 0 for p in partitions}
    offsets = {}
    for partition in partitions:
        row, end = progress.get(partition), ends[partition]
        last = row.last_offset + 1 if row and row.last_offset is not None else 0
        offsets[partition] = min(max(claimed[partition], last, applied.get(partition, 0)), end)
    return Targets(offsets, claimed)


def provable(progress: Mapping[int, PartitionOffset], state: LogState) -> Mapping[int, PartitionOffset]:
    """What to compare the log's fingerprints with: an offset ahead of the log's end may be moved by hand, and the
    records that PostgreSQL remembers prove the log all the same.

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
