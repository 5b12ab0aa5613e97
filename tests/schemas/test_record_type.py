"""Nothing counts with the wrong sign: what names another type, or contradicts a solve, is refused and says why."""

import base64
import json
import re
from datetime import UTC, datetime

import pytest

from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_schemas.record import decode, decode_line
from solve_schemas.rejection import Headers, Reason, Rejected

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
FIELDS = {"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-01-02T03:04:05Z"}
SOLVED, REVOKED = b"submission.solved.v1", b"submission.revoked.v1"


def said_of(headers: Headers = (), **more: object) -> Event | Rejected:
    return decode(json.dumps(FIELDS | more).encode(), headers, NOW_MS)


@pytest.mark.parametrize("name", ["ce_type", "CE_Type", "CE_TYPE", "Ce_type"])
def test_the_header_is_read_in_any_case(name: str) -> None:
    assert isinstance(said_of([(name, REVOKED)]), SubmissionRevoked)
    assert isinstance(said_of([("Content-Type", b"application/json"), (name, SOLVED)]), SubmissionSolved)


@pytest.mark.parametrize(
    "name",
    ["eventType", "event_type", "event-type", "EVENT-TYPE", "type", "Type", "ce-type", "ce.type", "cloudEvents:type",
     "aggregatetype", "aggregateType", "messageType", "__TypeId__", "event", "kind"],
)  # fmt: skip
@pytest.mark.parametrize("content", [SOLVED, REVOKED, b"com.judge.Rejudged", b"", None])
def test_another_header_that_names_a_type_is_named_and_never_a_solve(name: str, content: bytes | None) -> None:
    said = said_of([(name, content)])
    assert isinstance(said, Rejected)
    assert said.reason is Reason.UNKNOWN_TYPE
    assert name in said.detail
    assert "ce_type" in said.detail


@pytest.mark.parametrize("name", ["content-type", "Content-Type", "ce_datacontenttype", "ce_id", "traceparent", "id"])
def test_headers_that_name_no_type_leave_a_solve_a_solve(name: str) -> None:
    assert isinstance(said_of([(name, b"application/json")]), SubmissionSolved)


@pytest.mark.parametrize(
    "name",
    ["eventType", "event_type", "Type", "aggregatetype", "ce_type", "messageType", "event", "kind", "action", "x"],
)
def test_a_field_that_names_a_type_is_named_and_never_a_solve(name: str) -> None:
    value = json.dumps(FIELDS | {name: "submission.revoked.v1"}).encode()
    for said in (decode(value, [], NOW_MS), decode_line(value, NOW)):
        assert isinstance(said, Rejected)
        assert said.reason is Reason.UNKNOWN_TYPE
        assert f"`{name}`" in said.detail


CONTRADICTIONS: list[tuple[str, object]] = [
    ("verdict", "WRONG_ANSWER"), ("Verdict", "TLE"), ("status", "rejected"), ("status", 3), ("result", "WA"),
    ("result", {"verdict": "WA"}), ("judgement", None), ("outcome", ""), ("accepted", False), ("isAccepted", False),
    ("is_correct", 0), ("solved", "no"), ("passed", False), ("passed", None), ("deleted", True), ("__deleted", "true"),
    ("disqualified", True), ("deleted_at", "2026"),
    ("revokedAt", 1), ("__op", "d"), ("verdict", "CE"), ("reason", "rejudged"), ("verdict", "time limit exceeded"),
    ("verdict", "Not accepted"), ("verdict", "partially correct"), ("result", 1), ("judgement_type_id", "WA"),
    ("submission_status", "WRONG_ANSWER"), ("verdict", {"name": "Rejected"}), ("_fivetran_deleted", True),
    ("op", "D"), ("_change_type", "delete"), ("cancelled", "yes"), ("wasAccepted", False), ("valid", False),
    ("plagiarism", True), ("deleted", "t"), ("METADATA$ACTION", "DELETE"), ("row_kind", "-D"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), CONTRADICTIONS)
def test_a_word_that_contradicts_a_solve_is_named_and_never_a_solve(name: str, content: object) -> None:
    value = json.dumps(FIELDS | {name: content}).encode()
    for said in (decode(value, [], NOW_MS), decode_line(value, NOW)):
        assert isinstance(said, Rejected)
        assert said.reason is Reason.TYPE_MISMATCH
        assert f"`{name}`" in said.detail


AGREEMENTS: list[tuple[str, object]] = [
    ("verdict", "ACCEPTED"), ("verdict", "AC"), ("status", "OK"), ("result", "correct"), ("accepted", True),
    ("is_accepted", 1), ("passed", "yes"), ("deleted", False), ("reason", None), ("points", 0), ("__op", "c"),
    ("verdict", {"name": "Accepted"}), ("verdict", "Accepted (100)"), ("result", "CORRECT_ANSWER"), ("passed", 12),
    ("status", "accepted within time limit"), ("op", "c"), ("problem", {"type": "interactive"}), ("score", 100),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), AGREEMENTS)
def test_a_word_that_agrees_leaves_a_solve_a_solve(name: str, content: object) -> None:
    assert isinstance(said_of(**{name: content}), SubmissionSolved)
    assert isinstance(said_of([("ce_type", SOLVED)], **{name: content}), SubmissionSolved)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("verdict", "WRONG_ANSWER"),
        ("verdict", "WA"),
        ("verdict", "Runtime Error"),
        ("accepted", False),
        ("isSolved", False),
        ("deleted", True),
        ("removed_at", "2026-01-01"),
    ],
)
def test_a_record_that_calls_itself_a_solve_may_not_contradict_it_either(name: str, content: object) -> None:
    for said in (
        said_of([("ce_type", SOLVED)], **{name: content}),
        said_of(type="submission.solved.v1", **{name: content}),
    ):
        assert isinstance(said, Rejected)
        assert said.reason is Reason.TYPE_MISMATCH
    assert isinstance(said_of([("ce_type", REVOKED)], **{name: content}), SubmissionRevoked)


@pytest.mark.parametrize(("name", "content"), [("status", "final"), ("reason", "late"), ("eventType", "judged")])
def test_what_a_record_with_a_type_says_besides_is_ignored_where_it_contradicts_nothing(
    name: str, content: object
) -> None:
    assert isinstance(said_of([("ce_type", SOLVED)], **{name: content}), SubmissionSolved)


def test_two_types_of_one_record_are_refused() -> None:
    for said in (
        said_of([("ce_type", SOLVED), ("CE_TYPE", REVOKED)]),
        said_of([("ce_type", SOLVED)], type="submission.revoked.v1"),
    ):
        assert isinstance(said, Rejected)
        assert said.reason is Reason.TYPE_MISMATCH
        assert "submission.revoked.v1" in said.detail


def test_a_number_too_long_for_python_hides_nothing() -> None:
    value = json.dumps(FIELDS | {"verdict": "WA"})[:-1] + f', "n": {"9" * 5000}}}'
    assert isinstance(decode(value.encode(), [], NOW_MS), Rejected)


ENVELOPE = {"specversion": "1.0", "id": "x", "source": "j", "type": "submission.revoked.v1", "data": FIELDS}
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")


@pytest.mark.parametrize("headers", [[], [STRUCTURED], [("ce_type", REVOKED), STRUCTURED]])
def test_a_structured_cloud_event_is_read(headers: Headers) -> None:
    value = json.dumps(ENVELOPE).encode()
    assert isinstance(decode(value, headers, NOW_MS), SubmissionRevoked)
    assert isinstance(decode_line(value, NOW), SubmissionRevoked)
    registered = ENVELOPE | {
        "type": "user.registered.v1",
        "data": {"user_id": "u", "username": "é", "registered_at": FIELDS["judged_at"]},
    }
    assert decode(json.dumps(registered).encode(), headers[:1] and [STRUCTURED], NOW_MS) == UserRegistered(
        user_id="u", username="é", registered_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "x"}, Reason.UNKNOWN_TYPE),
        ({"type": None}, Reason.UNKNOWN_TYPE),
        ({"data": None}, Reason.INVALID_EVENT),
        ({"data": "text"}, Reason.INVALID_EVENT),
        ({"data": FIELDS | {"user_id": ""}}, Reason.INVALID_EVENT),
        ({"type": "submission.solved.v1", "data": FIELDS | {"accepted": False}}, Reason.TYPE_MISMATCH),
    ],
)
def test_a_structured_cloud_event_that_is_no_event_of_ours_is_refused(
    change: dict[str, object], reason: Reason
) -> None:
    said = decode(json.dumps(ENVELOPE | change).encode(), [STRUCTURED], NOW_MS)
    assert isinstance(said, Rejected)
    assert said.reason is reason


def test_a_structured_cloud_event_under_another_type_in_its_header_is_refused() -> None:
    said = decode(json.dumps(ENVELOPE).encode(), [("ce_type", SOLVED), STRUCTURED], NOW_MS)
    assert isinstance(said, Rejected)
    assert said.reason is Reason.TYPE_MISMATCH


CHANGE = {"before": None, "after": FIELDS, "op": "c", "ts_ms": 1}


@pytest.mark.parametrize(
    ("value", "headers", "words"),
    [
        (b"\0\0\0\0\7" + json.dumps(FIELDS).encode(), [("ce_type", SOLVED)], "Confluent.*schema id 7.*JSON"),
        (b"\0\0\0\0\7\2avro", [], "Confluent.*schema id 7"),
        (b"\2avro", [("__value_schema_id", b"\1")], "Confluent.*header"),
        (json.dumps({"schema": {"type": "struct"}, "payload": FIELDS}).encode(), [], "Connect.*schemas.enable=false"),
        (json.dumps(CHANGE).encode(), [], "Debezium.*EventRouter"),
        (json.dumps({"schema": {}, "payload": CHANGE}).encode(), [("ce_type", SOLVED)], "Debezium"),
        (json.dumps([FIELDS, FIELDS]).encode(), [], "list.*record of its own"),
        (json.dumps([ENVELOPE]).encode(), [("content-type", b"application/cloudevents-batch+json")], "list"),
    ],
)
def test_another_tools_format_is_named_with_what_to_configure(value: bytes, headers: Headers, words: str) -> None:
    said = decode(value, headers, NOW_MS)
    assert isinstance(said, Rejected)
    assert said.reason is Reason.FOREIGN_FORMAT
    assert re.search(words, said.detail)


def test_a_type_in_quotes_is_refused_with_what_to_configure() -> None:
    said = said_of([("ce_type", b'"submission.solved.v1"')])
    assert isinstance(said, Rejected)
    assert said.reason is Reason.UNKNOWN_TYPE
    assert "header.converter" in said.detail


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [("__op", b"d"), ("__deleted", b"true"), ("verdict", b"WA"), ("status", b"rejected"), ("accepted", b"false")],
)
def test_a_header_that_contradicts_a_solve_is_refused_as_a_field_is(name: str, content: bytes, typed: bool) -> None:
    said = said_of([*([("ce_type", SOLVED)] if typed else []), (name, content)])
    assert isinstance(said, Rejected)
    assert said.reason is Reason.TYPE_MISMATCH
    assert name in said.detail


@pytest.mark.parametrize(
    "beside",
    [
        {"eventType": "submission.revoked.v1"},
        {"Type": "submission.revoked.v1"},
        {"action": "revoke"},
        {"verdict": "WA"},
        {"meta": {"type": "submission.revoked.v1"}},
        {"data": {"accepted": False}},
    ],
)
def test_what_calls_itself_a_solve_and_something_else_too_is_refused(beside: dict[str, object]) -> None:
    for said in (said_of([("ce_type", SOLVED)], **beside), said_of(type=SOLVED.decode(), **beside), said_of(**beside)):
        assert isinstance(said, Rejected)


@pytest.mark.parametrize(
    "twice",
    [
        '"type": "submission.revoked.v1", "type": null',
        '"type": "submission.revoked.v1", "type": "submission.solved.v1"',
        '"verdict": "WA", "verdict": "AC"',
        '"accepted": false, "accepted": true',
    ],
)
def test_of_two_fields_of_one_name_both_are_looked_at(twice: str) -> None:
    value = (json.dumps(FIELDS)[:-1] + ", " + twice + "}").encode()
    for said in (decode(value, [], NOW_MS), decode_line(value, NOW), decode(value, [("ce_type", SOLVED)], NOW_MS)):
        assert isinstance(said, Rejected)


def test_a_structured_cloud_event_may_have_its_data_in_base64() -> None:
    envelope = {name: content for name, content in ENVELOPE.items() if name != "data"}
    encoded = base64.b64encode(json.dumps(FIELDS).encode()).decode()
    assert isinstance(decode(json.dumps(envelope | {"data_base64": encoded}).encode(), [], NOW_MS), SubmissionRevoked)
    said = decode(json.dumps(envelope | {"data_base64": "?"}).encode(), [STRUCTURED], NOW_MS)
    assert isinstance(said, Rejected)


def test_a_flat_event_under_the_content_type_of_the_structured_mode_is_read() -> None:
    assert isinstance(said_of([("ce_type", REVOKED), STRUCTURED]), SubmissionRevoked)
