"""The CLICS import: the verdicts that a scoreboard shows, from both forms of the feed and from what real feeds do."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.check import model_of
from solve_schemas.events import SubmissionSolved, UserRegistered
from solve_sources.clics.contest import Contest
from solve_sources.clics.conversion import Conversion, convert
from solve_sources.clics.feed import change_of
from solve_sources.clics.source import ContestSource
from solve_sources.clics.verdicts import Reading
from solve_sources.errors import FeedError
from solve_sources.reconciliation.ledger import Ledger
from solve_sources.reconciliation.reconciling import Round, fold_published
from solve_sources.times import parse_relative_time, parse_time

TYPES = {"AC": True, "WA": False}


def line(kind: str, object_id: str | None, data: Any) -> bytes:
    return json.dumps({"type": kind, "id": object_id, "data": data, "token": "t"}).encode()


def judgement(judgement_id: str, verdict: str | None, end: str | None, **more: Any) -> bytes:
    data = {"id": judgement_id, "submission_id": "s1", "judgement_type_id": verdict, "end_time": end, **more}
    return line("judgements", judgement_id, data)


CONTEST = line("contest", "c", {"id": "c", "start_time": "2024-01-01T10:00:00Z"})
TEAM = line("teams", "t1", {"id": "t1", "name": "Team One", "display_name": "The Ones"})
SUBMISSION = line(
    "submissions",
    "s1",
    {"id": "s1", "team_id": "t1", "problem_id": "a", "language_id": "cpp", "time": "2024-01-01T10:05:00Z"},
)
KINDS = [line("judgement-types", name, {"id": name, "solved": solved}) for name, solved in TYPES.items()]
BASE = [CONTEST, *KINDS, TEAM, SUBMISSION]


def converted(*lines: bytes) -> Conversion:
    return convert([*BASE, *lines], "feed")


def solved_by(conversion: Conversion) -> dict[str, int]:
    return {user: one.problems_solved for user, one in model_of(conversion.events).solved.items()}


def test_the_world_finals_feed_gives_the_scoreboard(wf47) -> None:  # type: ignore[no-untyped-def]
    lines = (wf47 / "event-feed.ndjson").read_bytes().splitlines()
    conversion = convert(lines, "wf47")
    rows = json.loads((wf47 / "scoreboard.json").read_text())["rows"]
    pairs = {
        (f"wf47_finals:{row['team_id']}", f"wf47_finals:{one['problem_id']}")
        for row in rows
        for one in row["problems"]
        if one["solved"] and one["time"] < 240
    }
    events = conversion.events * 3
    random.Random(1).shuffle(events)
    model = model_of(events)
    assert {key[:2] for key, verdict in model.verdicts.items() if verdict.solved} == pairs
    assert (len(pairs), conversion.report.teams, conversion.report.submissions) == (519, 130, 1606)
    assert model_of(convert(lines * 3, "wf47").events).solved == model.solved


def test_a_solved_judgement_is_a_solved_event_with_prefixed_ids() -> None:
    (registration, verdict) = converted(judgement("j", "AC", "2024-01-01T10:06:00.5Z")).events
    assert isinstance(registration, UserRegistered)
    assert (registration.user_id, registration.username) == ("c:t1", "The Ones")
    assert isinstance(verdict, SubmissionSolved)
    assert (verdict.submission_id, verdict.user_id, verdict.problem_id) == ("c:s1", "c:t1", "c:a")
    assert verdict.judged_at == parse_time("2024-01-01T10:06:00.5Z")
    assert verdict.submitted_at == parse_time("2024-01-01T10:05:00Z")
    assert (verdict.language, verdict.contest_id) == ("cpp", "c")


def test_the_form_of_2020_says_the_same() -> None:
    def old(number: int, kind: str, data: Any, op: str = "create") -> bytes:
        return json.dumps({"id": f"event-{number}", "type": kind, "op": op, "data": data}).encode()

    new = converted(judgement("j", "AC", "2024-01-01T10:06:00Z"))
    lines = [
        old(1, "contests", {"id": "c", "start_time": "2024-01-01T10:00:00Z"}),
        *(
            old(2 + i, "judgement-types", {"id": name, "solved": solved})
            for i, (name, solved) in enumerate(TYPES.items())
        ),
        old(4, "teams", {"id": "t1", "name": "The Ones"}),
        old(5, "submissions", json.loads(SUBMISSION)["data"]),
        old(6, "judgements", {"id": "j", "submission_id": "s1"}),
        old(7, "judgements", json.loads(judgement("j", "AC", "2024-01-01T10:06:00Z"))["data"], "update"),
    ]
    assert convert(lines, "old").events == new.events
    gone = [*lines, old(8, "judgements", {"id": "j"}, "delete")]
    assert solved_by(convert(gone, "old")) == {}


def test_the_form_of_2021_says_the_same() -> None:
    def named(kind: str | None, data: Any, object_id: str | None = None) -> bytes:
        endpoint = {"endpoint": kind} if kind else {}
        return json.dumps({"contest_id": "c", "id": object_id, "data": data} | endpoint).encode()

    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    lines = [
        named(None, {"id": "c", "start_time": "2024-01-01T10:00:00Z"}),
        named("judgement-types", [{"id": name, "solved": solved} for name, solved in TYPES.items()]),
        named("problems", [{"id": "a"}]),
        named("teams", {"id": "t1", "name": "The Ones"}, "t1"),
        *(named(json.loads(one)["type"], json.loads(one)["data"]) for one in (SUBMISSION, accepted)),
    ]
    assert convert(lines, "f").events == converted(line("problems", "a", {"id": "a"}), accepted).events
    assert solved_by(convert([*lines, named("judgements", None, "j")], "f")) == {}
    assert solved_by(convert(lines[1:], "f")) == {"c:t1": 1}  # each line names the contest


def test_the_last_of_the_changes_of_a_judgement_stands_even_at_the_same_cut_end_time() -> None:
    end = "2024-01-01T10:06:00Z"
    changed = [judgement("j", "AC", end), judgement("j", "WA", end)]
    assert [type(event) for event in converted(*changed).events] == [UserRegistered]
    back = converted(*changed, judgement("j", "AC", end))
    assert back.events == converted(changed[0]).events
    assert solved_by(back) == {"c:t1": 1}


def test_a_deleted_judgement_or_submission_is_a_revocation() -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    assert solved_by(converted(accepted)) == {"c:t1": 1}
    assert solved_by(converted(accepted, line("judgements", "j", None))) == {}
    assert solved_by(converted(accepted, line("submissions", "s1", None))) == {}
    assert solved_by(converted(accepted, line("judgements", None, []))) == {}
    assert solved_by(converted(accepted, line("submissions", None, []))) == {}


def test_of_two_judgements_the_later_started_one_counts_once_it_is_finished() -> None:
    first = judgement("j1", "AC", "2024-01-01T10:06:00Z", start_time="2024-01-01T10:05:30Z")
    running = judgement("j2", None, None, start_time="2024-01-01T11:00:00Z")
    rejudged = judgement("j2", "WA", "2024-01-01T11:01:00Z", start_time="2024-01-01T11:00:00Z")
    assert solved_by(converted(first, running)) == {"c:t1": 1}
    for order in ((first, rejudged), (rejudged, first)):
        assert solved_by(converted(*order)) == {}


@pytest.mark.parametrize("withdrawn", [{"current": False}, {"valid": False}, {"current": True, "valid": False}])
def test_a_judgement_that_does_not_stand_does_not_count(withdrawn: dict[str, bool]) -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    assert solved_by(converted(judgement("j", "AC", "2024-01-01T10:06:00Z", **withdrawn))) == {}
    later = judgement("k", "WA", "2024-01-01T11:06:00Z", start_time="2024-01-01T11:00:00Z", **withdrawn)
    assert solved_by(converted(accepted, later)) == {"c:t1": 1}


@pytest.mark.parametrize(
    "gone",
    [
        line("teams", "t1", None),
        line("teams", None, [{"id": "t2"}]),
        line("problems", "a", None),
        line("problems", None, [{"id": "b"}]),
        line("problems", None, []),
        line("judgement-types", "AC", {"id": "AC", "solved": False}),
        line("judgement-types", "AC", None),
        line("judgement-types", None, [{"id": "WA", "solved": False}]),
        json.dumps({"id": "e", "type": "teams", "op": "delete", "data": {"id": "t1"}}).encode(),
        line("teams", None, []),
        line("teams", None, None),
        line("contest", None, None),
        line("contests", None, []),
        json.dumps({"id": "e", "type": "problems", "op": "delete", "data": {"id": "a"}}).encode(),
    ],
)
def test_what_a_verdict_depends_on_is_followed_in_any_order(gone: bytes) -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    assert solved_by(converted(line("problems", "a", {"id": "a"}), accepted)) == {"c:t1": 1}
    assert solved_by(converted(line("problems", "a", {"id": "a"}), accepted, gone)) == {}
    for nothing in (line("submissions", None, None), line("judgements", None, [])):
        assert solved_by(converted(accepted, nothing)) == {}
    early = [CONTEST, *KINDS, line("problems", "a", {"id": "a"}), TEAM, gone, SUBMISSION, accepted]
    assert solved_by(convert(early, "feed")) == {}


@pytest.mark.parametrize(
    "none", [[line("problems", None, [])], [line("problems", "b", {"id": "b"}), line("problems", "b", None)]]
)
def test_where_a_feed_says_that_there_are_no_problems_nothing_is_solved(none: list[bytes]) -> None:
    assert solved_by(converted(judgement("j", "AC", "2024-01-01T10:06:00Z"), *none)) == {}


@pytest.mark.parametrize(
    "hiding",
    [
        [line("teams", "t1", {"id": "t1", "name": "One", "hidden": True})],
        [line("teams", "t1", {"id": "t1", "group_ids": ["g"]}), line("groups", "g", {"id": "g", "hidden": True})],
        [line("groups", None, [{"id": "g", "hidden": True}]), line("teams", "t1", {"id": "t1", "group_ids": ["g"]})],
        [line("groups", "g", {"id": "g"}), line("contest", None, {"id": "c", "main_scoreboard_group_id": "g"})],
    ],
)
def test_a_hidden_team_is_on_no_leaderboard(hiding: list[bytes]) -> None:
    conversion = converted(judgement("j", "AC", "2024-01-01T10:06:00Z"), *hiding)
    assert [event.listed for event in conversion.events if isinstance(event, UserRegistered)] == [False]
    assert conversion.report.hidden_teams == 1
    everybody = line("contest", None, {"id": "c", "main_scoreboard_group_id": None})
    shown = converted(*hiding, line("teams", "t1", {"id": "t1", "name": "One", "hidden": False}), everybody)
    assert [event.listed for event in shown.events if isinstance(event, UserRegistered)] == [None]


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


def test_objects_may_come_before_what_they_refer_to() -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    assert convert([accepted, SUBMISSION, TEAM, *KINDS, CONTEST], "feed").events == converted(accepted).events


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2014-06-25T11:22:05.034+01", "2014-06-25T10:22:05.034Z"),
        ("2014-06-25T11:22:05-0530", "2014-06-25T16:52:05Z"),
        ("2014-06-25T11:22:05-05", "2014-06-25T16:22:05Z"),
        ("2014-06-25T11:22Z", "2014-06-25T11:22:00Z"),
    ],
)
def test_zones_come_in_every_form(text: str, utc: str) -> None:
    assert parse_time(text) == parse_time(utc) is not None


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "2014-06-25T11:22:05", "2014-13-25T11:22:05Z"])
def test_what_is_no_time_is_none(text: Any) -> None:
    assert parse_time(text) is None


def test_relative_times_stand_in_for_absolute_ones() -> None:
    assert str(parse_relative_time("0:03:14.969")) == "0:03:14.969000"
    assert parse_relative_time("-0:01:00") == -parse_relative_time("0:01:00")  # type: ignore[operator]
    conversion = converted(judgement("j", "AC", None, end_contest_time="0:06:00"))
    assert conversion.events[1].happened_at == parse_time("2024-01-01T10:06:00Z")


def test_a_simplified_verdict_stands_in_for_one_that_may_not_be_seen() -> None:
    end = "2024-01-01T10:06:00Z"
    assert solved_by(converted(judgement("j", None, end, simplified_judgement_type_id="AC"))) == {"c:t1": 1}
    assert solved_by(converted(judgement("j", "WA", end, simplified_judgement_type_id="AC"))) == {}


def test_a_type_that_does_not_say_whether_it_solves_is_what_its_name_says() -> None:
    types = [line("judgement-types", None, [{"id": "AC", "solved": None}, {"id": "WA"}])]
    for verdict, solved in (("AC", {"c:t1": 1}), ("WA", {})):
        assert solved_by(converted(*types, judgement("j", verdict, "2024-01-01T10:06:00Z"))) == solved


def test_of_one_set_the_later_judgement_of_the_same_start_stands() -> None:
    end = {"submission_id": "s1", "end_time": "2024-01-01T10:06:00Z"}
    judged = [{"id": "j2", "judgement_type_id": "WA"} | end, {"id": "j1", "judgement_type_id": "AC"} | end]
    assert solved_by(converted(line("judgements", None, judged))) == {"c:t1": 1}
    assert solved_by(converted(line("judgements", None, judged[::-1]))) == {}


def test_while_more_may_come_nothing_is_taken_back_whose_judgement_was_not_read_yet() -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    for *rest, taken_back in (
        (judgement("j", None, None), 0),
        (accepted, 0),
        (judgement("j", "WA", "2024-01-01T10:06:00Z"), 1),
        (judgement("j", "AC", "2024-01-01T10:06:00Z", valid=False), 1),
        (accepted, line("judgements", "j", None), 1),
        (line("submissions", "s1", None), 1),
    ):
        with Contest() as contest, Ledger("f", "c") as ledger:
            fold_published(ledger, converted(accepted).events)
            source = ContestSource(contest, Reading(), "f").unfinished()
            for said in (*BASE, *rest):
                change = change_of(said, "f")
                assert change is not None
                contest.apply(change)
                current = Round(ledger, datetime.now(UTC))
                events = [event for page in source.changes(ledger, current, at_rest=True) for event in page]
                fold_published(ledger, events)
                assert len(events) == (taken_back if said is rest[-1] else 0)


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
        judgement("j3", "AC", "0001-01-01T00:00:00Z"),
        line("clarifications", "x", {"id": "x"}),
        b"",
    )
    report = conversion.report
    assert solved_by(conversion) == {}
    assert (report.submissions_without_team, report.submissions_of_unknown_teams, report.orphan_judgements) == (1, 1, 1)
    assert (report.unfinished_judgements, report.unknown_judgement_types, report.unusable_times) == (1, 1, 1)


def test_teams_without_a_name_and_with_control_characters_are_users_all_the_same() -> None:
    conversion = convert(
        [CONTEST, line("teams", "t1", {"id": "t1"}), line("teams", "t2", {"id": "t2", "name": "a\tb\u0000"})], "f"
    )
    assert [event.username for event in conversion.events if isinstance(event, UserRegistered)] == ["t1", "a b "]


def test_a_team_has_its_last_name() -> None:
    names = [line("teams", "t1", {"id": "t1", "name": name}) for name in ("zzz", "aaa")]
    assert [
        event.username for event in convert([CONTEST, *names], "f").events if isinstance(event, UserRegistered)
    ] == ["aaa"]


def test_the_same_ids_in_two_contests_never_collide() -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    one, two = convert([*BASE, accepted], "f"), convert([*BASE, accepted], "f", Reading("d"))
    assert solved_by(Conversion([*one.events, *two.events], one.report)) == {"c:t1": 1, "d:t1": 1}


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


def test_ids_that_are_too_long_for_an_event_stay_different() -> None:
    lines = [CONTEST, *(line("teams", "x" * 300 + end, {"id": "x" * 300 + end}) for end in "ab")]
    ids = [event.user_id for event in convert(lines, "f").events if isinstance(event, UserRegistered)]
    assert [len(one) for one in ids] == [200, 200]
    assert len(set(ids)) == 2


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


states = st.tuples(st.sampled_from(["j1", "j2"]), st.sampled_from(["AC", "WA", None, "deleted"]), st.integers(0, 2))


@given(st.lists(states, max_size=12))
def test_whatever_the_judgements_did_the_last_word_stands(history: list[tuple[str, str | None, int]]) -> None:
    """The plain model: of the judgements as they are now, the last finished one by start time, then by feed order."""
    lines, now = [], {}
    for name, verdict, minute in history:
        now.pop(name, None) if verdict == "deleted" else now.update({name: verdict})
        start = f"2024-01-01T10:0{name[1]}:00Z"
        end = f"2024-01-01T10:1{minute}:00Z" if verdict else None
        lines.append(
            line("judgements", name, None) if verdict == "deleted" else judgement(name, verdict, end, start_time=start)
        )
    finished = [now[name] for name in sorted(now) if now[name] is not None]
    conversion = converted(*lines)
    shuffled = conversion.events * 2
    random.Random(0).shuffle(shuffled)
    wanted = {"c:t1": 1} if finished and finished[-1] == "AC" else {}
    assert solved_by(Conversion(shuffled, conversion.report)) == wanted
