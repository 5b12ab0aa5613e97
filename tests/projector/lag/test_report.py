"""The report of the lag: tables that can be read, narrow and wide, and limits."""

import json
from io import StringIO

import pytest
from rich.console import Console

from solve_projector.errors import SettingsError
from solve_projector.lag.report import Limit, as_dict, parse_limit, sentences, table_of, totals_of
from solve_projector.lag.snapshot import PartitionSnapshot, Snapshot, Stage, StageLag
from solve_projector.lag.status import Assessment, Status
from solve_projector.lag.windows import CommitWindows
from solve_projector.log.group import Member
from solve_runtime.console import print_table

COLUMNS_OF_KAFKA = [  # of kafka-consumer-groups.sh --describe
    "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID",
]  # fmt: skip
OWNER = Member(
    "solve-projector-0b8f2c1e-1111-2222-3333-444444444444", "/10.42.17.133", "solve-projector", frozenset({0})
)


def stage(offset: int, seconds: float) -> StageLag:
    return StageLag(offset, 123_456_789 - offset, seconds)


LOOK = Snapshot(
    1.0, "solve-projector", "judge-events", 1,
    (
        PartitionSnapshot(0, 0, 123_456_789, {
            Stage.POSTGRESQL: stage(123_456_789, 0.0), Stage.KAFKA_GROUP: stage(123_456_700, 0.4),
            Stage.REDIS: stage(123_456_780, 0.2),
        }, OWNER, 1.0),
        PartitionSnapshot(11, 5, 123_456_789, {Stage.POSTGRESQL: stage(100_000_000, 86_400.0)}, None, 1.0),
    ),
    problems={"redis": "Redis: refused; check REDIS_URL"},
)  # fmt: skip
JUDGEMENTS = {0: Assessment(Status.OK, "fine"), 11: Assessment(Status.STALL, "it does not move")}


def drawn(width: int) -> list[str]:
    written = StringIO()
    Console(width=width, file=written).print(table_of(LOOK, JUDGEMENTS, width))
    return [line.rstrip() for line in written.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 120, 200, 300])
def test_a_table_fits_and_nothing_is_cut(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert len(lines) == 4
    for number in ("123456789", "100000000", "23456789", "89", "86400", "STALL"):
        assert number in " ".join(lines)


def test_a_wide_table_begins_with_the_columns_of_kafkas_own_tool() -> None:
    assert drawn(200)[0].split()[: len(COLUMNS_OF_KAFKA)] == COLUMNS_OF_KAFKA
    assert OWNER.consumer_id in drawn(200)[1]


def test_what_is_not_in_order_is_said_in_words() -> None:
    assert sentences(LOOK, JUDGEMENTS) == [
        "partition 11 STALL: it does not move",
        "redis did not answer: Redis: refused; check REDIS_URL",
    ]


def test_json_has_every_stage_and_what_could_not_be_asked_is_null() -> None:
    said = json.loads(json.dumps(as_dict(LOOK, JUDGEMENTS)))
    assert (said["status"], said["lag"], said["lag_seconds"]) == ("STALL", 23_456_789, 86_400.0)
    first, second = said["partitions"]
    assert first["stages"]["redis"] == {"offset": 123_456_780, "lag": 9, "lag_seconds": 0.2}
    assert second["consumer_id"] is None
    assert "redis" not in second["stages"]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("60s", Limit(seconds=60)),
        ("5m", Limit(seconds=300)),
        ("2h", Limit(seconds=7200)),
        ("10000", Limit(messages=10_000)),
    ],
)
def test_a_limit_is_an_age_or_a_number(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "s", "-5", "1.5s", "60 s", "ten", "٣"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="write an age such as 60s"):
        parse_limit(text)


def test_a_limit_is_exceeded_by_more_and_not_by_as_much() -> None:
    totals = totals_of(LOOK, JUDGEMENTS)
    assert not Limit(seconds=86_400).exceeded(totals)
    assert Limit(seconds=86_399).exceeded(totals)
    assert not Limit(messages=23_456_789).exceeded(totals)
    assert Limit(messages=23_456_788).exceeded(totals)


def test_a_member_that_names_itself_oddly_steers_neither_the_table_nor_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = Member("a[/b]", "/10.0.0.1", "c[d]\x1b[31m", frozenset({0}))
    partition = PartitionSnapshot(0, 0, 1, {Stage.POSTGRESQL: StageLag(1, 0, 0.0)}, odd, 1.0)
    print_table(table_of(Snapshot(1.0, "g", "t", 1, (partition,)), {}, 200))
    out = capsys.readouterr().out
    assert "a[/b]" in out
    assert "c[d]\\x1b[31m" in out


def test_a_group_that_could_not_be_asked_is_not_judged() -> None:
    partition = PartitionSnapshot(0, 0, 9, {Stage.POSTGRESQL: StageLag(1, 8, 5.0)}, None, 1.0)
    assert CommitWindows(3, 50).add(Snapshot(9.0, "g", "t", 0, (partition,), problems={"kafka": "loading"})) == {}
