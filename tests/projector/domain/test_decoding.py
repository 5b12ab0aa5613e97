"""The typed decoder beside the models: the same rows, or silence."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solve_projector.domain import decoding
from solve_projector.domain.decoding import decode_record
from solve_projector.domain.rule import Verdict, verdict_of
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved, UserRegistered, UserRemoved
from solve_schemas.record import decode, encode, source_of
from solve_schemas.rejection import Rejected
from tests.events import events, revoked, solved

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


def record_of(event: Event, source: str = DEFAULT_SOURCE) -> Record:
    encoded = encode(event, source)
    return Record(encoded.value, tuple(encoded.headers))


def by_the_models(record: Record) -> Verdict | UserRegistered | UserRemoved | Rejected:
    said = decode(record.value, record.headers, record.timestamp)
    if isinstance(said, SubmissionSolved | SubmissionRevoked):
        return verdict_of(said, record.partition, record.offset, source_of(record.value, record.headers))
    return said


@given(events, st.sampled_from([DEFAULT_SOURCE, "", "judge", "https://judge.example/ü", "x" * 201, "a\tb"]))
def test_what_our_client_writes_takes_the_typed_decoder(event: Event, source: str) -> None:
    record = record_of(event, source)
    said = decode_record(record)
    assert said == by_the_models(record)
    plain = isinstance(event, SubmissionSolved | SubmissionRevoked) and b"\\" not in encode(event).value
    assert decoding._typed(record) == (said if plain else None)


@given(events, st.sampled_from([DEFAULT_SOURCE, "judge"]), st.sampled_from([None, (", ", ": ")]))
def test_a_row_of_an_outbox_becomes_the_record_that_our_client_sends(event: Event, source: str, spaces: Any) -> None:
    wanted = encode(event, source)
    value = json.dumps(json.loads(wanted.value), separators=spaces or (",", ":"), ensure_ascii=False).encode()
    said = decoding.verdict_record(event.type_name.encode(), value, NOON_2026_11_24, source)
    plain = isinstance(event, SubmissionSolved | SubmissionRevoked) and b"\\" not in value
    assert said == (wanted if plain else None)


texts = st.text(max_size=5) | st.sampled_from(
    [
        "",
        "x" * 200,
        "x" * 201,
        "é" * 200,
        "\\",
        '"',
        "\x7f",
        "\x80",
        "\x9f",
        "\xa0",
        "\u2028",
        "𝄞",
        "a\tb",
        "c++",
        "0000",
    ]
)
fractions = st.sampled_from(["", ".5", ".123456", ".1234567", ".9999999", ".123456789", ".1234567890", ".", ",5"])
zones = st.sampled_from(
    ["Z", "z", "+00:00", "-00:00", "+0000", "-0000", "+05:30", "+0530", "-23:59", "+24:00", "+00", ""]
)
times = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["2026-01-01", "2026-11-25", "2026-02-30", "1970-01-01", "1969-12-31", "0000-01-01", "20260101"]),
    st.sampled_from(["T", "t", " ", "_"]),
    st.sampled_from(["00:00:00", "12:00:00", "11:59:59", "24:00:00", "23:59:60", "12:00", "1:1:1"]),
    fractions,
    zones,
)
types = st.sampled_from([b"submission.solved.v1", b"submission.revoked.v1", b"user.registered.v1", b"x", None])
header_names = st.sampled_from(
    ["ce_type", "CE_Type", "eventType", "__TypeId__", "content-type", "x", "ce_source", "CE_Source"]
)
contents = types | st.binary(max_size=3)
values: st.SearchStrategy[Any] = texts | times | st.none() | st.integers() | st.booleans()
fields = st.fixed_dictionaries(
    {"submission_id": texts | values, "user_id": texts, "problem_id": texts, "judged_at": times | values},
    optional={
        "submitted_at": times | st.none(),
        "language": texts | values,
        "contest_id": texts,
        "reason": texts,
        "revision": st.integers(-1, 3) | st.sampled_from([2**53 - 1, 2**53, 1.0, 1.5, "1", True, None, 1e3, -0.0]),
        "more": values,
        "type": types.map(lambda named: named and named.decode()) | values,
        "Verdict": st.sampled_from(["AC", "accepted", "wrong answer", 1, 0, None]),
        "is_accepted": st.booleans(),
    },
)


@settings(max_examples=500)
@given(
    fields,
    st.lists(st.tuples(header_names, contents), max_size=3),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.sampled_from([NOON_2026_11_24, -1, 0, 10**17, -(10**17)]),
)
@example({"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-11-25T12:00:00Z"},
         [("ce_type", b"submission.solved.v1")], False, (",", ":"), NOON_2026_11_24)  # fmt: skip
@example({"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-11-25T12:00:00+0000"},
         [("ce_type", b"submission.revoked.v1")], False, (",", ":"), NOON_2026_11_24)  # fmt: skip
@example({"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-01-01T00:00:00.9999999Z"},
         [("ce_type", b"submission.solved.v1")], False, (",", ":"), NOON_2026_11_24)  # fmt: skip
@example({"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-11-23T12:00:00Z",
          "revision": 2.0},
         [("ce_type", b"submission.solved.v1")], False, (",", ":"), NOON_2026_11_24)  # fmt: skip
@example({"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-11-23T12:00:00Z", "revision": 2},
         [("ce_type", b"submission.revoked.v1")], False, (", ", ": "), NOON_2026_11_24)  # fmt: skip
def test_whatever_is_written_is_read_as_the_models_read_it(
    said: dict[str, object],
    named: list[tuple[str, bytes | None]],
    escaped: bool,
    separators: tuple[str, str],
    timestamp: int,
) -> None:
    value = json.dumps(said, ensure_ascii=escaped, separators=separators).encode("utf-8", "surrogatepass")
    record = Record(value, tuple(named), timestamp)
    assert decode_record(record) == by_the_models(record)


GOOD = record_of(solved("s", "u", "p", 1))


@settings(max_examples=500)
@given(st.integers(0, len(GOOD.value or b"")), st.integers(0, 3), st.binary(max_size=3))
def test_damaged_bytes_are_read_as_the_models_read_them(at: int, cut: int, put: bytes) -> None:
    value = GOOD.value or b""
    record = replace(GOOD, value=value[:at] + put + value[at + cut :])
    assert decode_record(record) == by_the_models(record)


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b"[]", b'{"submission_id":"a"', b"\xef\xbb\xbf{}"])
def test_what_is_no_event_is_left_to_the_models(value: bytes | None) -> None:
    assert isinstance(decode_record(replace(GOOD, value=value)), Rejected)


def test_of_two_fields_of_one_name_the_last_counts_for_both() -> None:
    record = replace(GOOD, value=(GOOD.value or b"")[:-1] + b',"user_id":"v"}')
    assert decoding._typed(record) == by_the_models(record)


def test_a_second_type_header_is_nothing_if_it_says_the_same_and_refused_if_it_does_not() -> None:
    record = record_of(revoked("s", "u", "p", 1))
    same = replace(record, headers=(*record.headers, ("CE_Type", b"submission.revoked.v1")))
    assert decode_record(same) == decode_record(record) == by_the_models(same)
    other = replace(record, headers=(*record.headers, ("ce_type", b"submission.solved.v1")))
    said = decode_record(other)
    assert isinstance(said, Rejected)
    assert said == by_the_models(other)
