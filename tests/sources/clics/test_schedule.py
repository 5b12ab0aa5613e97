"""Start, end and freeze of a contest, by absolute times and by its own clock, in every form that feeds have."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from solve_sources.clics.conversion import convert
from solve_sources.clics.verdicts import Reading
from solve_sources.times import parse_relative_time, parse_time
from tests.sources.clics.conversions import BASE, TEAM, converted, judgement, line, solved_by


def handed_in(submission_id: str, time: str) -> list[bytes]:
    submission = {"id": submission_id, "team_id": "t1", "problem_id": submission_id, "time": time}
    judged = {"id": submission_id, "submission_id": submission_id, "judgement_type_id": "AC", "end_time": time}
    return [line("submissions", submission_id, submission), line("judgements", submission_id, judged)]


LIMITED = line("contest", "c", {"id": "c", "start_time": "2024-01-01T10:00:00Z", "duration": "2:00:00"})


def test_submissions_outside_the_contest_are_counted_and_said_or_left_out() -> None:
    lines = [LIMITED, TEAM]
    for name, time in (
        ("early", "09:59:59.999"),
        ("first", "10:00:00"),
        ("last", "11:59:59.999"),
        ("late", "12:00:00"),
    ):
        lines += handed_in(name, f"2024-01-01T{time}Z")
    everything, inside = convert(lines, "f"), convert(lines, "f", Reading(contest_time_only=True))
    assert (solved_by(everything), solved_by(inside)) == ({"c:t1": 4}, {"c:t1": 2})
    for report in (everything.report, inside.report):
        assert (report.submissions_before_start, report.submissions_after_end) == (1, 1)
        assert {"submissions before start: 1", "submissions after end: 1"} <= set(report.people())


def test_times_that_no_event_can_have_are_no_times() -> None:
    ahead = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    conversion = converted(judgement("j", "AC", ahead))
    assert (solved_by(conversion), conversion.report.unusable_times) == ({}, 1)
    zero = line("contest", "c", {"id": "c", "start_time": "0001-01-01T00:00:00Z", "duration": "5:00:00"})
    (registration, _) = convert([*BASE, zero, judgement("j", "AC", "2024-01-01T10:06:00Z")], "f").events
    assert registration.happened_at == parse_time("2024-01-01T10:05:00Z")


def test_while_a_freeze_lasts_what_was_handed_in_since_is_left_alone() -> None:
    contest = {
        "id": "c",
        "start_time": "2024-01-01T10:00:00Z",
        "duration": "2:00:00",
        "scoreboard_freeze_duration": "1:00:00",
    }
    lines = [line("contest", "c", contest), TEAM]
    lines += handed_in("before", "2024-01-01T10:59:59Z") + handed_in("since", "2024-01-01T11:00:00Z")
    frozen = line("state", None, {"frozen": "2024-01-01T11:00:00Z", "thawed": None})
    thawed = line("state", None, {"frozen": "2024-01-01T11:00:00Z", "thawed": "2024-01-01T12:30:00Z"})
    held = Reading(hold_frozen=True)
    assert solved_by(convert([*lines, frozen], "f", held)) == {"c:t1": 1}
    assert convert([*lines, frozen], "f", held).report.submissions_since_freeze == 1
    for whole in (
        convert([*lines, frozen], "f"),
        convert([*lines, frozen, thawed], "f", held),
        convert(lines, "f", held),
    ):
        assert solved_by(whole) == {"c:t1": 2}


FREEZING = {"id": "c", "start_time": "2024-01-01T10:00:00Z", "duration": "2:00:00"}


@pytest.mark.parametrize(
    ("contest", "frozen_at", "held"),
    [
        ({}, "10:30:00", ["b", "c"]),
        ({"scoreboard_freeze_duration": None}, "10:30:00", ["b", "c"]),
        ({"scoreboard_freeze_duration": "0:00:00"}, "10:30:00", ["b", "c"]),
        ({"scoreboard_freeze_duration": "0:45:00"}, "10:30:00", ["b", "c"]),  # by hand, before it was planned
        ({"scoreboard_freeze_duration": "1:30:00"}, "10:31:00", ["b", "c"]),  # by a clock that was late
        ({"scoreboard_freeze_duration": "9:00:00"}, "10:30:00", ["b", "c"]),
        ({"start_time": None, "scoreboard_freeze_duration": "0:30:00"}, "10:30:00", ["b", "c"]),
    ],
)
def test_a_freeze_holds_from_when_it_was_to_begin_or_did(contest: Any, frozen_at: str, held: list[str]) -> None:
    lines = [line("contest", None, FREEZING | contest), TEAM]
    for name, time in (("a", "10:29:59"), ("b", "10:30:00"), ("c", "11:59:00")):
        lines += handed_in(name, f"2024-01-01T{time}Z")
    lines.append(line("state", None, {"frozen": f"2024-01-01T{frozen_at}Z", "finalized": "2024-01-01T12:30:00Z"}))
    conversion = convert(lines, "f", Reading(hold_frozen=True))
    assert (solved_by(conversion), conversion.report.submissions_since_freeze) == ({"c:t1": 3 - len(held)}, len(held))


def test_a_contest_that_was_interrupted_ends_and_freezes_by_its_own_clock() -> None:
    contest = FREEZING | {"scoreboard_freeze_duration": "0:30:00"}
    lines = [line("contest", None, contest), TEAM, line("state", None, {"frozen": "2024-01-01T12:30:00Z"})]
    for name, time, since in (
        ("a", "11:40", "0:40"),
        ("b", "12:20", "1:20"),
        ("c", "12:31", "1:31"),
        ("d", "13:01", "2:01"),
    ):
        submission, judged = handed_in(name, f"2024-01-01T{time}:00Z")
        said = json.loads(submission)
        said["data"]["contest_time"] = f"{since}:00"
        lines += [json.dumps(said).encode(), judged]
    inside = convert(lines, "f", Reading(contest_time_only=True))
    assert (solved_by(inside), inside.report.submissions_after_end) == ({"c:t1": 3}, 1)
    assert convert(lines, "f", Reading(hold_frozen=True)).report.submissions_since_freeze == 2


def test_without_a_start_the_times_since_it_say_what_is_outside() -> None:
    lines = [line("contest", None, {"id": "c", "start_time": None, "duration": "2:00:00"}), TEAM]
    for name, since in (("a", "-0:00:01"), ("b", "0:00:00"), ("c", "2:00:00")):
        submission, judged = handed_in(name, "2024-01-01T10:00:00Z")
        said = json.loads(submission)
        said["data"]["contest_time"] = since
        lines += [json.dumps(said).encode(), judged]
    report = convert(lines, "f").report
    assert (report.submissions_before_start, report.submissions_after_end) == (1, 1)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2014-06-25T11:22:05.034+01", "2014-06-25T10:22:05.034Z"),
        ("2014-06-25T11:22:05-0530", "2014-06-25T16:52:05Z"),
        ("2014-06-25T11:22:05-05", "2014-06-25T16:22:05Z"),
        ("2014-06-25T11:22Z", "2014-06-25T11:22:00Z"),
        ("2014-06-25t11:22:05z", "2014-06-25T11:22:05Z"),
        ("2014-06-25T11:22:05\u221205:00", "2014-06-25T16:22:05Z"),
        ("2014-06-26T01:22:05+14:00", "2014-06-25T11:22:05Z"),
        ("2014-06-25T11:22:05.1234567891Z", "2014-06-25T11:22:05.123456Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2017-01-01T05:29:60.5+05:30", "2017-01-01T00:00:00.5Z"),
    ],
)
def test_zones_come_in_every_form(text: str, utc: str) -> None:
    assert parse_time(text) == parse_time(utc) is not None


@pytest.mark.parametrize(
    "text", [None, 5, "", "yesterday", "2014-06-25T11:22:05", "2014-13-25T11:22:05Z", "2014-06-25T11:22:61Z"]
)
def test_what_is_no_time_is_none(text: Any) -> None:
    assert parse_time(text) is None


def test_relative_times_stand_in_for_absolute_ones() -> None:
    assert str(parse_relative_time("0:03:14.969")) == "0:03:14.969000"
    assert parse_relative_time("+0:03:14.969") == parse_relative_time("0:03:14.969")
    assert parse_relative_time("9" * 5_000 + ":00:00") is None
    assert parse_relative_time("-0:01:00") == -parse_relative_time("0:01:00")  # type: ignore[operator]
    conversion = converted(judgement("j", "AC", None, end_contest_time="0:06:00"))
    assert conversion.events[1].happened_at == parse_time("2024-01-01T10:06:00Z")
