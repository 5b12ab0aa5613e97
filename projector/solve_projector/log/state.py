"""The state of the log in PostgreSQL and at the brokers, and the checks that the two agree (I10).

aiokafka does not see topic ids. So PostgreSQL keeps a fingerprint of each partition, offset and broker timestamp of the
first record and of the last one applied, and the log must still have the same records there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from solve_projector.errors import LogHeadGone, LogRewritten, OffsetOutOfRange, TopicUnsafe
from solve_runtime.text import readable
from solve_schemas.topic import MESSAGE_MAX_BYTES, TOPIC_SETTINGS


@dataclass(frozen=True, slots=True)
class PartitionOffset:
    """A row of `partition_offsets`: the next offset and the fingerprint (None before the first record)."""

    partition: int
    next_offset: int
    first_offset: int | None = None
    first_timestamp_ms: int | None = None
    last_offset: int | None = None
    last_timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """What holds a partition: its first record there (offset, broker timestamp in seconds), and who began it."""

    partition: int
    offset: int
    since_s: float
    producer_id: int | None = None
    transactional_id: str | None = None

    @property
    def said(self) -> str:
        """One sentence for people."""
        names = [
            *([f"transactional id {readable(self.transactional_id)}"] if self.transactional_id else []),
            *([f"producer id {self.producer_id}"] if self.producer_id is not None else []),
        ]
        since = f"{datetime.fromtimestamp(self.since_s, UTC):%Y-%m-%d %H:%M:%S}Z"
        return (
            f"an open transaction holds partition {self.partition} since {since} "
            f"({', '.join(names) or 'whose it is, no broker says'}); "
            f"nothing from offset {self.offset} on can be applied until it ends"
        )


@dataclass(frozen=True, slots=True)
class LogState:
    """What the brokers say of the topic: its settings, and where each partition begins and ends.

    A partition can be read up to its end (the last stable offset); an open transaction keeps that from the high
    watermark, up to which there are records.
    """

    topic: str
    earliest: Mapping[int, int]
    ends: Mapping[int, int]
    high_watermarks: Mapping[int, int]
    settings: Mapping[str, str]

    def held(self) -> dict[int, int]:
        """The ends of the partitions that an open transaction holds."""
        return {partition: end for partition, end in self.ends.items() if end < self.high_watermarks[partition]}

    def unsafe_settings(self) -> dict[str, str]:
        """The current values of the settings that let the log lose or reorder records, or take too much memory."""
        found = {name: self.settings.get(name, "") for name in TOPIC_SETTINGS}
        return {
            name: value for name, value in found.items() if value != TOPIC_SETTINGS[name] and not _fits(name, value)
        }

    def require_safe(self) -> None:
        """For setup and a first run. Raises TopicUnsafe, or LogHeadGone where the beginning was deleted already."""
        if unsafe := self.unsafe_settings():
            found = ", ".join(f"{name}={value}" for name, value in unsafe.items())
            wanted = ",".join(f"{name}={TOPIC_SETTINGS[name]}" for name in unsafe)
            raise TopicUnsafe(
                f"topic {self.topic} has {found}, so it cannot prove the counts, or be read in bounded memory; set it "
                f"with: kafka-configs.sh --alter --entity-type topics --entity-name {self.topic} --add-config {wanted}"
            )
        if gone := {partition: offset for partition, offset in self.earliest.items() if offset > 0}:
            partition, offset = min(gone.items())
            raise LogHeadGone(
                f"topic {self.topic} partition {partition} begins at offset {offset}: everything before it was "
                "deleted, so counts from the rest would be wrong; publish the history again to a new topic, and set "
                "SOLVE_TOPIC"
            )

    def require_offset(self, row: PartitionOffset) -> None:
        """Raises LogRewritten or OffsetOutOfRange where PostgreSQL's next offset is not within the log."""
        earliest, end = self.earliest.get(row.partition), self.ends.get(row.partition)
        where = f"topic {self.topic} partition {row.partition}"
        if earliest is None or end is None:
            raise LogRewritten(
                f"{where} is gone, but PostgreSQL has applied it up to offset {row.next_offset}: the topic was "
                "recreated with fewer partitions; restore it, or project the new log into an empty database"
            )
        if end < row.next_offset:
            raise OffsetOutOfRange(
                f"{where} ends at offset {end}, but PostgreSQL has applied it up to {row.next_offset}: the topic was "
                "recreated or records were lost; restore it, or project the new log into an empty database"
            )
        if earliest > row.next_offset:
            raise OffsetOutOfRange(
                f"{where} begins at offset {earliest}, but PostgreSQL needs {row.next_offset} next: the records in "
                "between were deleted before they were applied; restore them, or publish the history again to a new "
                "topic"
            )


def _fits(setting: str, value: str) -> bool:
    return setting == "max.message.bytes" and (not value.isdigit() or int(value) <= MESSAGE_MAX_BYTES)
