"""Messages about refused fields, as people read them."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from solve_schemas.events import SubmissionRevoked, SubmissionSolved
from solve_schemas.messages import message_of
from solve_schemas.record import decode
from solve_schemas.rejection import Rejected

FIELDS = {"submission_id": "s", "user_id": "u", "problem_id": "p", "judged_at": "2026-01-02T03:04:05Z"}
TEXT = "must be text of 1 to 200 characters"
TIME = "must be a time with a zone, such as 2026-01-02T03:04:05Z"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_id": ...}, "`problem_id` is missing"),
        ({"user_id": ""}, f"`user_id` {TEXT}"),
        ({"user_id": "x" * 201}, f"`user_id` {TEXT}"),
        ({"user_id": None}, f"`user_id` {TEXT}"),
        ({"user_id": 7}, f"`user_id` {TEXT}"),
        ({"submission_id": "a\u0000b"}, "`submission_id` may not contain control characters"),
        ({"language": 7}, "`language` must be text of at most 200 characters"),
        ({"judged_at": "2026-01-02T03:04:05"}, "`judged_at` needs a time zone, such as 2026-01-02T03:04:05Z"),
        ({"judged_at": "2026-01-02"}, f"`judged_at` {TIME}"),
        ({"judged_at": "2026-02-30T03:04:05Z"}, f"`judged_at` {TIME}"),
        ({"judged_at": 1_700_000_000}, f"`judged_at` {TIME}"),
        ({"judged_at": None}, f"`judged_at` {TIME}"),
        ({"user_id": "", "problem_id": ...}, f"`user_id` {TEXT}; `problem_id` is missing"),
    ],
)
def test_a_refused_field_is_named_with_what_it_must_be(changes: dict[str, Any], message: str) -> None:
    merged = {name: value for name, value in {**FIELDS, **changes}.items() if value is not ...}
    said = decode(json.dumps(merged).encode(), [], 1_800_000_000_000)
    assert isinstance(said, Rejected)
    assert said.detail == message


@pytest.mark.parametrize("given", [42, UUID(int=42), "42"])
def test_an_integer_or_a_uuid_is_an_id_in_python_and_text_in_the_record(given: Any) -> None:
    event = SubmissionSolved(submission_id=given, user_id=given, problem_id=given, judged_at=NOW, contest_id=given)
    assert {event.submission_id, event.user_id, event.problem_id, event.contest_id} == {str(given)}
    assert json.loads(event.model_dump_json())["user_id"] == str(given)


@pytest.mark.parametrize("given", [True, False, 4.2, b"42", None, 10**200])
def test_anything_else_is_no_id(given: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SubmissionRevoked(submission_id="s", user_id=given, problem_id="p", judged_at=NOW)
    assert message_of(caught.value) == f"`user_id` {TEXT}"


def test_a_time_without_a_zone_and_text_for_a_time_are_named() -> None:
    for given, message in (
        (datetime(2026, 1, 2), "needs a time zone, such as 2026-01-02T03:04:05Z"),  # noqa: DTZ001 - that is the mistake
        ("2026-01-02T03:04:05Z", "must be a datetime with a time zone"),
    ):
        with pytest.raises(ValidationError) as caught:
            SubmissionRevoked(submission_id="s", user_id="u", problem_id="p", judged_at=given)  # type: ignore[arg-type]
        assert message_of(caught.value) == f"`judged_at` {message}"
