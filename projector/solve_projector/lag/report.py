"""Reports a snapshot of the lag: a table in the columns of `kafka-consumer-groups.sh --describe` and ours, or JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from solve_projector.errors import SettingsError
from solve_projector.lag.snapshot import PartitionSnapshot, Snapshot, Stage
from solve_projector.lag.status import Assessment, Status, worst
from solve_runtime.console import Cell, styled, table_width

STYLES = {Status.OK: "green", Status.WARN: "yellow"}
NOTHING_WRONG = Assessment(Status.OK, "")
UNITS_S = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Totals:
    """Of the whole group: sums of messages, the oldest event's age, and the worst status."""

    lags: Mapping[Stage, int]
    seconds: Mapping[Stage, float]
    status: Status


@dataclass(frozen=True, slots=True)
class Limit:
    """What `--fail-over` allows: an age in seconds, or a number of messages."""

    seconds: float | None = None
    messages: int | None = None

    def exceeded(self, totals: Totals) -> bool:
        """By PostgreSQL's lag, which is the truth."""
        if self.seconds is not None:
            return totals.seconds.get(Stage.POSTGRESQL, 0.0) > self.seconds
        return totals.lags.get(Stage.POSTGRESQL, 0) > (self.messages or 0)


def parse_limit(text: str) -> Limit:
    """Reads `60s`, `5m`, `1h` or `10000`. Raises SettingsError."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in UNITS_S else (text, "")
    if not number.isascii() or not number.isdigit():
        raise SettingsError(
            f"--fail-over {text} is not a limit; write an age such as 60s or 5m, or messages such as 10000"
        )
    return Limit(seconds=int(number) * UNITS_S[unit]) if unit else Limit(messages=int(number))


def totals_of(snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> Totals:
    """Sums over the partitions."""
    found = {stage: [one.stages[stage] for one in snapshot.partitions if stage in one.stages] for stage in Stage}
    return Totals(
        {stage: sum(one.lag for one in some) for stage, some in found.items() if some},
        {stage: max(one.seconds for one in some) for stage, some in found.items() if some},
        worst(list(assessments.values())),
    )


def as_dict(snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> dict[str, Any]:
    """For `--json`."""
    totals = totals_of(snapshot, assessments)
    return {
        "group": snapshot.group,
        "topic": snapshot.topic,
        "at": snapshot.at_s,
        "status": totals.status.name,
        "members": snapshot.members,
        "lag": totals.lags.get(Stage.POSTGRESQL),
        "lag_seconds": totals.seconds.get(Stage.POSTGRESQL),
        "partitions": [_partition_as_dict(one, assessments.get(one.partition)) for one in snapshot.partitions],
        "problems": dict(snapshot.problems),
    }


def _partition_as_dict(one: PartitionSnapshot, assessment: Assessment | None) -> dict[str, Any]:
    applied = one.stages.get(Stage.POSTGRESQL)
    return {
        "partition": one.partition,
        "current_offset": applied and applied.offset,
        "log_start_offset": one.begin,
        "log_end_offset": one.end,
        "last_stable_offset": one.stable_end,
        "open_transaction": one.transaction and asdict(one.transaction),
        "lag": applied and applied.lag,
        "lag_seconds": applied and round(applied.seconds, 3),
        "status": assessment and assessment.status.name,
        "why": assessment and assessment.why,
        "consumer_id": one.owner and one.owner.consumer_id,
        "host": one.owner and one.owner.host,
        "client_id": one.owner and one.owner.client_id,
        "stages": {
            stage.value: {"offset": at.offset, "lag": at.lag, "lag_seconds": round(at.seconds, 3)}
            for stage, at in one.stages.items()
        },
    }


def table_of(snapshot: Snapshot, assessments: Mapping[int, Assessment], width: int | None = None) -> Table:
    """One row a partition and the totals; without group, topic and member where `width` has no room for them."""
    table = _table(snapshot, assessments, wide=True)
    if width is None or table_width(table) <= width:
        return table
    return _table(snapshot, assessments, wide=False)


def _table(snapshot: Snapshot, assessments: Mapping[int, Assessment], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    totals = totals_of(snapshot, assessments)
    if wide:
        table.add_column("GROUP", footer="TOTAL", no_wrap=True)
        table.add_column("TOPIC", no_wrap=True)
    table.add_column("PARTITION" if wide else "PART", footer="" if wide else "all", justify="right", no_wrap=True)
    table.add_column("CURRENT-OFFSET" if wide else "CURRENT", justify="right", no_wrap=True)
    table.add_column("LOG-END-OFFSET" if wide else "LOG-END", justify="right", no_wrap=True)
    table.add_column("LAG", footer=_total(totals, Stage.POSTGRESQL), justify="right", no_wrap=True)
    if wide:
        for name in ("CONSUMER-ID", "HOST", "CLIENT-ID"):
            table.add_column(name, no_wrap=True)
    seconds = totals.seconds.get(Stage.POSTGRESQL)
    footer = _styled(totals.status) if assessments else "-"
    table.add_column("LAG-SECONDS" if wide else "SECONDS", footer=_seconds(seconds), justify="right", no_wrap=True)
    table.add_column("STATUS", footer=footer, no_wrap=True)
    table.add_column("KAFKA-LAG", footer=_total(totals, Stage.KAFKA_GROUP), justify="right", no_wrap=True)
    table.add_column("REDIS-LAG", footer=_total(totals, Stage.REDIS), justify="right", no_wrap=True)
    for one in snapshot.partitions:
        table.add_row(*_cells(snapshot, one, assessments.get(one.partition), wide))
    return table


def _cells(snapshot: Snapshot, one: PartitionSnapshot, assessment: Assessment | None, wide: bool) -> list[Cell]:
    applied = one.stages.get(Stage.POSTGRESQL)
    owner = one.owner
    member = [owner.consumer_id, owner.host, owner.client_id] if owner else ["-", "-", "-"]
    return [
        *([snapshot.group, snapshot.topic] if wide else []),
        str(one.partition),
        str(applied.offset) if applied else "-",
        str(one.end),
        str(applied.lag) if applied else "-",
        *(member if wide else []),
        _seconds(applied.seconds if applied else None),
        _styled(assessment.status) if assessment else "-",
        *(str(one.stages[stage].lag) if stage in one.stages else "-" for stage in (Stage.KAFKA_GROUP, Stage.REDIS)),
    ]


def sentences(snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> list[str]:
    """In words: for each status that is not OK the partition with the most lag, open transactions, then the servers."""
    said = []
    lags = {
        one.partition: one.stages[Stage.POSTGRESQL].lag for one in snapshot.partitions if one.partition in assessments
    }
    for status in sorted({found.status for found in assessments.values()} - {Status.OK}, reverse=True):
        partitions = [partition for partition, found in assessments.items() if found.status is status]
        most = max(partitions, key=lambda partition: lags[partition])
        others = f" (and {len(partitions) - 1} more)" if len(partitions) > 1 else ""
        said.append(f"partition {most} {status.name}{others}: {assessments[most].why}")
    said += [
        one.transaction.said
        for one in snapshot.partitions
        if one.transaction and assessments.get(one.partition, NOTHING_WRONG).status is Status.OK
    ]
    return said + [f"{source} did not answer: {problem}" for source, problem in snapshot.problems.items()]


def _styled(status: Status) -> Cell:
    return styled(status.name, STYLES.get(status, "bold red"))


def _total(totals: Totals, stage: Stage) -> str:
    return str(totals.lags[stage]) if stage in totals.lags else "-"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.0f}" if seconds >= 10 or not seconds else f"{seconds:.1f}"
