"""The decoder: any bytes become an event or a reason, and every event comes back as itself."""

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_schemas.event_source import is_uri_reference
from solve_schemas.events import (
    EVENT_MODELS,
    REVISION_MAX,
    Event,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)
from solve_schemas.record import decode, decode_line, encode, encode_line, source_of
from solve_schemas.rejection import DETAIL_MAX_CHARS, Reason, Rejected

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
FIELDS = {"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-01-02T03:04:05Z"}

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1970, 1, 2), datetime(2026, 6, 1), timezones=zones)  # noqa: DTZ001 - Hypothesis adds them
allowed = st.characters(exclude_categories=["Cs", "Cc"])
text = st.text(allowed, min_size=1, max_size=200)
optional = st.none() | st.text(allowed, max_size=200)
revisions = st.none() | st.integers(0, REVISION_MAX)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        UserRegistered, user_id=text, username=text, registered_at=times, listed=st.none() | st.booleans()
    ),
    st.builds(UserRemoved, user_id=text, removed_at=times, reason=optional, erase=st.none() | st.booleans()),
    st.builds(
        SubmissionSolved, submission_id=text, user_id=text, problem_id=text, judged_at=times,
        revision=revisions, submitted_at=st.none() | times, language=optional, contest_id=optional,
    ),
    st.builds(SubmissionRevoked, submission_id=text, user_id=text, problem_id=text, judged_at=times, revision=revisions,
              reason=optional),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)
almost = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(max_size=5) | json_values for name in [*FIELDS, "type", "submitted_at", "language", "revision"]
    },
).map(lambda fields: json.dumps(fields).encode())
headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "content-type", "x"]),
        st.none() | st.binary(max_size=9) | st.sampled_from([name.encode() for name in EVENT_MODELS]),
    ),
    max_size=3,
)


@given(st.none() | st.binary(max_size=300) | almost, headers, st.integers(-(2**63), 2**63 - 1))
def test_any_bytes_are_an_event_or_a_reason(
    value: bytes | None, some: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    said = decode(value, some, timestamp)
    if isinstance(said, Rejected):
        assert said.reason in Reason
        assert 0 < len(said.detail) <= DETAIL_MAX_CHARS
    else:
        assert type(said) in EVENT_MODELS.values()
        "".join(value for value in said.model_dump().values() if isinstance(value, str)).encode()


@given(st.binary(max_size=300) | almost)
def test_any_line_is_an_event_or_a_reason(line: bytes) -> None:
    assert isinstance(decode_line(line, NOW), Rejected | Event)


@given(events)
def test_an_event_comes_back_from_its_record_and_from_its_line(event: Event) -> None:
    record = encode(event)
    assert decode(record.value, record.headers, NOW_MS) == event
    assert record.key == event.user_id.encode()
    assert decode_line(encode_line(event).encode(), NOW) == event


def test_the_same_event_has_the_same_id_and_another_another() -> None:
    one = SubmissionSolved.model_validate_json(json.dumps(FIELDS))
    other = one.model_copy(update={"submission_id": "t"})
    ids = [dict(encode(event).headers)["ce_id"] for event in (one, one, other)]
    assert ids[0] == ids[1] != ids[2]


def test_a_record_is_a_cloud_event_in_binary_mode() -> None:
    record = encode(UserRegistered(user_id="u", username="n", registered_at=datetime(2026, 1, 1, tzinfo=UTC)))
    named = dict(record.headers)
    assert (named["ce_specversion"], named["ce_type"]) == (b"1.0", b"user.registered.v1")
    assert named["ce_time"] == b"2026-01-01T00:00:00Z"
    assert named["content-type"] == b"application/json"
    assert json.loads(record.value) == {"user_id": "u", "username": "n", "registered_at": "2026-01-01T00:00:00Z"}


def said_of(headers: list[tuple[str, bytes | None]] | None = None, **changes: object) -> Event | Rejected:
    merged = {name: value for name, value in {**FIELDS, **changes}.items() if value is not ...}
    return decode(json.dumps(merged).encode(), headers or [], NOW_MS)


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": ...},
        {"user_id": ""},
        {"user_id": None},
        {"user_id": 7},
        {"user_id": "x" * 201},
        {"user_id": "x" * 1_000_000},
        {"user_id": "nul\x00"},
        {"user_id": "line\nbreak"},
        {"user_id": "\x85"},
        {"language": "\x1b[31m"},
        {"judged_at": 1_700_000_000},
        {"judged_at": "1700000000"},
        {"judged_at": "2026-01-02"},
        {"judged_at": "2026-01-02T03:04:05"},
        {"judged_at": "2026-02-30T03:04:05Z"},
        {"judged_at": ["2026-01-02T03:04:05Z"]},
    ],
)
def test_a_field_out_of_its_limits_is_refused_by_name(changes: dict[str, object]) -> None:
    said = said_of(**changes)
    assert isinstance(said, Rejected)
    assert said.reason is Reason.INVALID_EVENT
    assert next(iter(changes)) in said.detail


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-06-03T00:00:00Z", "9999-12-31T23:59:59Z"]
)
@pytest.mark.parametrize("name", ["judged_at", "submitted_at"])
def test_a_time_before_1970_or_days_after_the_broker_is_refused(name: str, time: str) -> None:
    said = said_of(**{name: time})
    assert isinstance(said, Rejected)
    assert said.reason is Reason.TIME_OUT_OF_RANGE
    assert name in said.detail


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.TOMBSTONE),
        (b"", Reason.NOT_JSON),
        (b"not json", Reason.NOT_JSON),
        (b'{"user_id":"\xff"}', Reason.NOT_JSON),
        (b'{"user_id":"\\ud800"}', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b"[]", Reason.INVALID_EVENT),
        (b"7", Reason.INVALID_EVENT),
    ],
)
def test_a_value_that_is_no_object_is_refused(value: bytes | None, reason: Reason) -> None:
    said = decode(value, [], NOW_MS)
    assert isinstance(said, Rejected)
    assert said.reason is reason


def test_a_time_within_a_day_of_the_broker_is_fine_and_so_is_a_submission_after_its_verdict() -> None:
    assert isinstance(
        said_of(judged_at="2026-06-01T23:59:59Z", submitted_at="2026-06-01T23:59:59.5+00:00"), SubmissionSolved
    )


def test_an_unknown_type_is_refused_whatever_the_value() -> None:
    for value in (b"submission.solved.v2", b"", b"\xff", None):
        said = said_of(headers=[("ce_type", value)])
        assert isinstance(said, Rejected)
        assert said.reason is Reason.UNKNOWN_TYPE


def test_a_record_without_a_type_is_solved_and_unknown_and_null_fields_are_ignored() -> None:
    said = said_of(language=None, points=100, nested={"a": [1]})
    assert isinstance(said, SubmissionSolved)
    assert said.language is None


def test_a_revocation_without_its_header_is_not_taken_for_a_solve() -> None:
    said = said_of(type="submission.revoked.v1")
    assert isinstance(said, Rejected)
    assert said.reason is Reason.TYPE_MISMATCH
    assert isinstance(said_of(type="submission.solved.v1"), SubmissionSolved)


@pytest.mark.parametrize("named", ["practice", "submission.solved.v2", "", 7, ["submission.solved.v1"]])
def test_a_type_that_nobody_knows_is_never_a_solve(named: object) -> None:
    value = json.dumps(FIELDS | {"type": named}).encode()
    for said in (decode(value, [], NOW_MS), decode_line(value, NOW)):
        assert isinstance(said, Rejected)
        assert said.reason is Reason.UNKNOWN_TYPE
        assert "submission.solved.v1" in said.detail


@pytest.mark.parametrize("more", [{}, {"type": None}, {"type": "submission.solved.v1"}, {"points": 3, "who": "\u00e9"}])
def test_a_line_is_what_its_record_is_also_without_a_type(more: dict[str, object]) -> None:
    value = json.dumps(FIELDS | more).encode()
    said = decode_line(value, NOW)
    assert isinstance(said, SubmissionSolved)
    assert said == decode(value, [], NOW_MS)


def test_an_escaped_type_is_read_as_one() -> None:
    value = json.dumps(FIELDS | {"type": "submission.revoked.v1"}).replace('"type"', r'"\u0074ype"').encode()
    assert isinstance(decode_line(value, NOW), SubmissionRevoked)
    said = decode(value, [], NOW_MS)
    assert isinstance(said, Rejected)
    assert said.reason is Reason.TYPE_MISMATCH


@given(st.binary(max_size=300) | almost)
def test_no_reason_shows_a_regular_expression_or_the_words_of_a_library(value: bytes) -> None:
    for said in (decode(value, [], NOW_MS), decode_line(value, NOW)):
        if isinstance(said, Rejected) and said.reason is not Reason.UNKNOWN_TYPE:  # that one quotes what was sent
            assert not re.search(r"\^|\[0-9|String should|Input should|pydantic|\bident\b", said.detail)


FLAT = json.dumps(FIELDS).encode()
JUDGE = ("ce_source", b"https://judge.example")


@pytest.mark.parametrize(
    ("some", "kept"),
    [
        ([], ""),
        ([JUDGE], "https://judge.example"),
        ([("CE_Source", "ü".encode())], "ü"),
        ([("x", b"1"), JUDGE, ("ce_source", b"another")], "https://judge.example"),
        ([("ce_source", b"solve-counts")], ""),
        ([("ce_source", None)], ""),
        ([("ce_source", b"")], ""),
        ([("ce_source", "ü".encode() * 200)], "ü" * 200),
        ([("ce_source", b"x" * 201)], ""),
        ([("ce_source", b"x" * 10**6)], ""),
        ([("ce_source", b"\xff")], ""),
        ([("ce_source", b"\xed\xa0\x80")], ""),
        *(([("ce_source", f"judge{control}".encode())], "") for control in "\0\n\x7f\x9f"),
        ([("source", b"judge")], ""),
    ],
)
def test_the_source_of_a_record_is_kept_where_it_is_text(some: list[tuple[str, bytes | None]], kept: str) -> None:
    assert source_of(FLAT, some) == source_of(None, some) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('"source": "judge"', "judge"),
        (r'"sour\u0063e": "judge"', "judge"),
        ('"source": "solve-counts"', ""),
        (r'"source": "a\nb"', ""),
        (r'"source": "\ud800"', "https://judge.example"),  # no JSON text, and so no event
        ('"source": 1', "https://judge.example"),
        ('"id": "1"', "https://judge.example"),
    ],
)
@pytest.mark.parametrize("data", ["data", r"d\u0061ta"])
def test_the_source_of_a_structured_event_is_that_of_its_envelope(said: str, kept: str, data: str) -> None:
    value = f'{{"specversion": "1.0", "type": "submission.solved.v1", {said}, "{data}": {FLAT.decode()}}}'
    assert source_of(value.encode(), [JUDGE]) == kept


def test_a_field_of_a_plain_event_is_no_source() -> None:
    value = json.dumps(FIELDS | {"source": "judge", "data": 1}).encode()
    assert source_of(value, []) == ""


@pytest.mark.parametrize("in_base64", [False, True])
@pytest.mark.parametrize(
    "twice", [b'"accepted":false,%b,"accepted":true', b'%b,"more":{"accepted":false,"accepted":true}']
)
def test_of_two_fields_of_one_name_in_a_structured_event_both_are_looked_at(twice: bytes, in_base64: bool) -> None:
    data = b"{" + twice % FLAT.strip()[1:-1] + b"}"
    said = b'"data_base64":"' + b64encode(data) + b'"' if in_base64 else b'"data":' + data
    value = b'{"specversion":"1.0","type":"submission.solved.v1",' + said + b"}"
    for found in (decode(value, [], NOW_MS), decode_line(value, NOW)):
        assert isinstance(found, Rejected)
        assert found.reason is Reason.TYPE_MISMATCH


def test_a_structured_event_names_one_type() -> None:
    types = '"type": "submission.revoked.v1", "type": "submission.solved.v1"'
    found = decode(f'{{"specversion": "1.0", {types}, "data": {FLAT.decode()}}}'.encode(), [], NOW_MS)
    assert isinstance(found, Rejected)
    assert found.reason is Reason.TYPE_MISMATCH


def test_a_source_is_a_uri_reference() -> None:
    for good in ("/clics/cup", "https://judge.example/ü?a=b#c", "urn:uuid:1", "solve-counts", "/a%20b", "../x"):
        assert is_uri_reference(good)
    for bad in ("", "a b", " a", "a\n", "a\tb", "a\u00a0b", "a\x00", "a\x85", "\ud800", "100%", "<a>", 'a"', "x" * 201):
        assert not is_uri_reference(bad)
