"""Does the short way from a record to a line of COPY say what `decode` says, or step aside?"""

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solve_projector.domain.rule import verdict_of
from solve_projector.replay.copy_lines import line_of_record, line_of_verdict
from solve_schemas.events import UserRegistered
from solve_schemas.record import Rejected, decode, encode
from tests.events import at, events, revoked, solved

NOON_2026_11_24 = 1_795_521_600_000


@dataclass(frozen=True)
class Record:
    """A record as the consumer gives it."""

    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int = NOON_2026_11_24
    partition: int = 3
    offset: int = 14
    key: bytes | None = b"k"


def record_of(event: object) -> Record:
    encoded = encode(event)  # type: ignore[arg-type]
    return Record(encoded.value, tuple(encoded.headers))


def fields_of(line: str) -> list[str]:
    """A line's columns, with times in one form."""
    assert line.endswith("\n")
    columns = line[:-1].split("\t")
    for number in (4, 5):
        if columns[number] != "\\N":
            moment = columns[number].replace("+00:00", "").replace("Z", "")
            whole, _, fraction = moment.partition(".")
            columns[number] = f"{whole}.{fraction.ljust(6, '0')}"
    return columns


def agree(record: Record) -> bool:
    """Whether the short way took the record, after comparing it with the long one."""
    line = line_of_record(record)
    if line is None:
        return False
    said = decode(record.value, record.headers, record.timestamp)
    assert not isinstance(said, Rejected | UserRegistered), said
    assert fields_of(line) == fields_of(line_of_verdict(verdict_of(said, record.partition, record.offset)))
    return True


@given(events)
def test_what_our_client_writes_takes_the_short_way(event: object) -> None:
    assert agree(record_of(event)) != isinstance(event, UserRegistered)


texts = st.text(max_size=5) | st.sampled_from(
    ["x" * 200, "x" * 201, "é" * 200, "\\", '"', "\x7f", "\u2028", "𝄞", "a\tb"]
)
times = st.sampled_from(
    [
        "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1234567Z", "2026-02-30T00:00:00Z", "2024-02-29T10:00:00.5Z",
        "2026-11-25T12:00:00Z", "2026-11-25T12:00:00.000001Z", "2026-11-25T11:59:59.999999Z", "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z", "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "2026-01-01T00:00:00+00:00",
        "2026-01-01t00:00:00z", "2026-01-01T00:00:00", "0000-01-01T00:00:00Z", "2026-1-1T00:00:00Z",
    ]
)  # fmt: skip
fields = st.fixed_dictionaries(
    {"submission_id": texts, "user_id": texts, "problem_id": texts, "judged_at": times},
    optional={
        "submitted_at": times | st.none(),
        "language": texts,
        "contest_id": texts,
        "reason": texts,
        "more": texts,
    },
)
types = st.sampled_from([b"submission.solved.v1", b"submission.revoked.v1", b"user.registered.v1", b"x", None])


@settings(max_examples=400)
@given(
    fields,
    types,
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.sampled_from([NOON_2026_11_24, -1, 0, 10**17, -(10**17)]),
)
@example({"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-11-25T12:00:00Z"},
         b"submission.solved.v1", False, (",", ":"), NOON_2026_11_24)  # fmt: skip
def test_whatever_else_is_written_is_read_alike_or_left_to_decode(
    said: dict[str, object], named: bytes | None, escaped: bool, separators: tuple[str, str], timestamp: int
) -> None:
    value = json.dumps(said, ensure_ascii=escaped, separators=separators).encode("utf-8", "surrogatepass")
    headers = (("ce_type", named),) if named is not None else ()
    agree(Record(value, headers, timestamp))


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b"[]", b'{"submission_id":"a"'])
def test_what_is_no_event_is_left_to_decode(value: bytes | None) -> None:
    good = record_of(solved("s", "u", "p", 1))
    assert agree(good)
    assert not agree(replace(good, value=value))


def test_a_second_type_header_changes_nothing() -> None:
    record = record_of(revoked("s", "u", "p", 1))
    doubled = replace(record, headers=(*record.headers, ("ce_type", b"submission.solved.v1")))
    assert agree(doubled)
    assert line_of_record(doubled) == line_of_record(record)


def test_backslashes_and_absent_times_are_written_for_copy() -> None:
    event = solved("s", "u\\N", "p", 1, language="\\t")
    line = line_of_verdict(verdict_of(event, 0, 7))
    assert line.split("\t")[0] == "u\\\\N"
    assert line.split("\t")[6] == "\\\\t"
    assert line_of_verdict(verdict_of(revoked("s", "u", "p", 1), 0, 7)).split("\t")[5] == "\\N"
    assert line.split("\t")[4] == at(1).isoformat()
