"""Feeds that are wrong, odd or cut: refused with the line, or read as they are meant, and nothing lost unseen."""

import subprocess
import sys
from io import BytesIO
from typing import Any

import pytest

from solve_schemas.events import UserRegistered
from solve_sources.clics.conversion import convert
from solve_sources.clics.feed import feed_changes, feed_lines
from solve_sources.clics.verdicts import Reading
from solve_sources.errors import FeedError
from tests.sources.clics.conversions import BASE, CONTEST, TEAM, converted, judgement, line, solved_by


def test_what_cannot_count_is_reported_and_no_error() -> None:
    conversion = converted(
        line("submissions", "s2", {"id": "s2", "team_id": None, "problem_id": "a", "time": "2024-01-01T10:05:00Z"}),
        line("submissions", "s3", {"id": "s3", "team_id": "t9", "problem_id": "a", "time": "2024-01-01T10:05:00Z"}),
        line(
            "judgements",
            "j9",
            {"id": "j9", "submission_id": "nobody's", "judgement_type_id": "AC", "end_time": "2024-01-01T10:06:00Z"},
        ),
        judgement("j1", None, None),
        judgement("j2", "??", "2024-01-01T10:06:00Z"),
        judgement("j3", "AC", "9001-01-01T00:00:00Z"),
        judgement("j4", "AC", "0001-01-01T00:00:00Z"),
        line("clarifications", "x", {"id": "x"}),
        b"",
    )
    report = conversion.report
    assert solved_by(conversion) == {}
    assert (report.submissions_without_team, report.submissions_of_unknown_teams, report.orphan_judgements) == (1, 1, 1)
    assert (report.unfinished_judgements, report.unknown_judgement_types, report.unusable_times) == (1, 1, 2)
    first = "judgement j3 has an end that is 9001-01-01T00:00:00+00:00, which is in the future"
    assert f"unusable times: 2; the first: {first}" in report.people()


BAD_LINES = [
    b"not json",
    b"[]",
    b'{"type":"teams"}',
    b"\xff",
    b"\x1f\x8b\x08",
    line("submissions", "s1", "deleted"),
    line("submissions", "s1", False),
    line("submissions", None, {"team_id": "t1"}),
    line("submissions", None, [{"id": "s1"}, {"team_id": "t1"}]),
    line("submissions", None, ["s1"]),
    b'{"type":"teams","op":"delete","id":"e","data":null}',
    b'{"endpoint":"teams","id":"t1","data":null}',
    b'{"type":["teams"],"contest_id":"c","data":null}',
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_line_that_is_no_feed_is_named(bad: bytes) -> None:
    with pytest.raises(FeedError, match="feed:2: "):
        convert([CONTEST, bad], "feed")


@pytest.mark.parametrize("contest_id", [None, "", "\x01", "x" * 101])
def test_a_feed_that_does_not_name_its_contest_asks_for_it(contest_id: str | None) -> None:
    with pytest.raises(FeedError, match="--contest-id"):
        convert([TEAM], "feed", Reading(contest_id))


@pytest.mark.parametrize(
    "other",
    [
        line("contest", None, {"id": "d"}),
        line("contest", "d", {}),
        line("contests", None, [{"id": "c"}, {"id": "d"}]),
        b'{"contest_id":"d","endpoint":"teams","id":"t1","data":null}',
    ],
)
def test_a_feed_of_two_contests_is_refused(other: bytes) -> None:
    with pytest.raises(FeedError, match="two contests, c and d"):
        converted(other)


@pytest.mark.parametrize("lines", [[], [b""], [b"\n", b"\r\n"]])
def test_an_empty_feed_is_refused_since_it_would_take_back_everything(lines: list[bytes]) -> None:
    with pytest.raises(FeedError, match="f: the feed is empty"):
        convert(lines, "f", Reading("c"))


WRONG_TYPES = [
    line("submissions", "s1", {"id": "s1", "team_id": {"id": "t1"}, "problem_id": "a"}),
    line("submissions", "s1", {"id": "s1", "team_id": "t1", "problem_id": 1.5}),
    line("submissions", "s1", {"id": "s1", "team_id": "t1", "problem_id": "a", "time": 1704103500}),
    line("submissions", None, [{"id": "s1", "team_id": True}]),
    line("judgements", "j", {"id": "j", "submission_id": "s1", "judgement_type_id": "AC", "valid": "false"}),
    line("judgements", "j", {"id": "j", "submission_id": "s1", "judgement_type_id": "AC", "current": 0}),
    line("judgements", "j", {"id": "j", "submission_id": ["s1"], "judgement_type_id": "AC"}),
    line("judgements", "j", {"id": "j", "submission_id": "s1", "judgement_type_id": {"id": "AC"}}),
    line("judgements", "j", {"id": "j", "submission_id": "s1", "end_time": 1e400}),
    line("judgement-types", "WA", {"id": "WA", "solved": "true"}),
    line("judgement-types", None, [{"id": "WA", "solved": 1}]),
    line("teams", "t1", {"id": "t1", "hidden": "true"}),
    line("teams", "t1", {"id": "t1", "group_ids": "g"}),
    line("teams", "t1", {"id": "t1", "group_ids": [None]}),
    line("groups", "g", {"id": "g", "hidden": 1}),
    line("contest", None, {"id": "c", "duration": 18_000}),
    line("state", None, {"frozen": True}),
]


@pytest.mark.parametrize("wrong", WRONG_TYPES)
def test_a_property_that_decides_and_is_of_another_type_is_refused_and_named(wrong: bytes) -> None:
    with pytest.raises(FeedError, match=r'^feed:6: "[a-z_]+" of .* is not .*; correct the line'):
        converted(wrong)


@pytest.mark.parametrize("own", [True, 1.5, {"id": "t1"}, ["t1"], "", float("nan")])
def test_an_id_that_is_no_text_or_whole_number_is_refused(own: Any) -> None:
    for bad in (line("teams", own, {}), line("teams", None, [{"id": own}]), line("teams", None, {"id": own})):
        with pytest.raises(FeedError, match="an object of teams has no id"):
            converted(bad)


@pytest.mark.parametrize(
    "odd",
    [
        line("teams", "t1", {"id": "t1", "name": None, "display_name": None, "group_ids": None, "hidden": None}),
        line("contest", None, {"id": "c", "start_time": "2024-01-01T10:00:00Z", "duration": None, "penalty": 20}),
        line("contest", None, {"id": "c", "start_time": "9999-12-31T23:59:59Z", "duration": "5:00:00"}),
        line("contest", None, {"id": "c", "start_time": None, "countdown_pause_time": "0:03:38.749"}),
        line("contest", None, {"id": "c", "duration": "9" * 5_000 + ":00:00"}),
        line("contest", None, {"id": "c", "duration": "5:00:00", "scoreboard_freeze_duration": "-99999999:00:00"}),
        line("state", None, None),
        line("state", None, {"frozen": "9999-12-31T23:59:59-12", "thawed": None}),
        line("groups", None, None),
        line("awards", "x", {"id": 1e400, "team_ids": "t1"}),
        line("problems", "a", {"id": "a", "time_limit": float("nan"), "rgb": 10**400}),
        line("judgement-types", "WA", {"id": "WA", "penalty": "yes", "solved": None}),
        line("judgements", "k", {"id": "k", "submission_id": None}),
        line("submissions", "x", {"id": "x"}),
        b"\xef\xbb\xbf" + line("languages", "cpp", {"id": "cpp"}) + b"\r",
    ],
)
def test_what_is_odd_and_decides_nothing_changes_nothing(odd: bytes) -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    for reading in (Reading(), Reading(hold_frozen=True, contest_time_only=True)):
        assert solved_by(convert([*BASE, accepted, odd], "feed", reading)) == {"c:t1": 1}
        assert solved_by(convert([*BASE, odd, accepted], "feed", reading)) == {"c:t1": 1}


def test_ids_that_are_too_long_for_an_event_stay_different() -> None:
    lines = [CONTEST, *(line("teams", "x" * 300 + end, {"id": "x" * 300 + end}) for end in "ab")]
    ids = [event.user_id for event in convert(lines, "f").events if isinstance(event, UserRegistered)]
    assert [len(one) for one in ids] == [200, 200]
    assert len(set(ids)) == 2


def test_ids_with_control_characters_stay_different() -> None:
    lines = [CONTEST, *(line("teams", one, {"id": one}) for one in ("a b", "a\tb", "a\u0000b", "\ud800"))]
    ids = {event.user_id for event in convert(lines, "f").events if isinstance(event, UserRegistered)}
    assert len(ids) == 4
    assert "c:a b" in ids


def test_ids_are_whatever_letters_they_have() -> None:
    lines = [CONTEST, *(line("teams", one, {"id": one}) for one in ("\u00e9", "e\u0301", "T", "t", "\u0442", "\u202e"))]
    ids = [event.user_id for event in convert(lines, "f").events if isinstance(event, UserRegistered)]
    assert len(set(ids)) == 6


def test_a_number_and_its_text_are_one_id() -> None:
    submission = line("submissions", 7, {"id": 7, "team_id": 1, "problem_id": "a", "time": "2024-01-01T10:05:00Z"})
    end = {"judgement_type_id": "AC", "end_time": "2024-01-01T10:06:00Z"}
    judged = line("judgements", "8", {"id": "8", "submission_id": "7"} | end)
    assert solved_by(convert([CONTEST, line("teams", "1", {"id": "1"}), submission, judged], "f")) == {"c:1": 1}


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    for lines in (b"\xef\xbb\xbf\n", b"\xef\xbb\xbf" + CONTEST + b"\r\n"):
        changes = list(feed_changes(feed_lines(BytesIO(lines), "f"), "f"))
        assert len(changes) == (1 if b"contest" in lines else 0)


def test_a_last_line_that_was_cut_is_named() -> None:
    cut = b"\n".join(BASE)[:-20]
    with pytest.raises(FeedError, match="f:5: the feed ends in the middle of this line, so it was cut; get it again"):
        list(feed_changes(feed_lines(BytesIO(cut), "f"), "f"))


def test_standard_input_is_named_as_such() -> None:
    for words, given in ((("clics", "-", "--dry-run"), CONTEST[:-9]), (("standings", "-"), b"{")):
        arguments = [sys.executable, "-m", "solve_producer", "import", *words]
        done = subprocess.run(arguments, input=given, capture_output=True, check=False)
        assert done.returncode == 1
        assert b"solve-producer: standard input:" in done.stderr
        assert b"it was cut; get it again" in done.stderr or b"the file was cut; get it again" in done.stderr
