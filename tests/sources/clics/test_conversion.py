"""The CLICS import: the verdicts that a scoreboard shows, from every form of the feed and from what real feeds do."""

import json
import random
from datetime import UTC, datetime
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
from solve_sources.reconciliation.ledger import Ledger
from solve_sources.reconciliation.reconciling import Round, fold_published
from solve_sources.times import parse_time
from tests.sources.clics.conversions import (
    BASE,
    CONTEST,
    KINDS,
    SUBMISSION,
    TEAM,
    TYPES,
    converted,
    judgement,
    line,
    solved_by,
)  # fmt: skip


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


def test_objects_may_come_before_what_they_refer_to() -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    assert convert([accepted, SUBMISSION, TEAM, *KINDS, CONTEST], "feed").events == converted(accepted).events


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


def test_while_more_may_come_what_refers_to_something_unknown_stays_as_it_stands() -> None:
    accepted = judgement("j", "AC", "2024-01-01T10:06:00Z")
    a, b = (line("problems", one, {"id": one}) for one in "ab")
    other, wrong = line("teams", "t9", {"id": "t9"}), line("judgement-types", "NO", {"id": "NO", "solved": False})
    refused = judgement("j", "NO", "2024-01-01T10:06:00Z")
    for lines, at_rest, expected in (
        ([other, b, SUBMISSION, accepted, TEAM, a], True, [1, 0, 0, 0, 1, 1]),
        ([SUBMISSION, accepted, TEAM, a], False, [0, 0, 1, 1]),
        ([SUBMISSION, accepted], True, [0, 1]),  # a feed without teams and problems
        ([SUBMISSION, accepted, TEAM, a, refused, wrong], True, [0, 1, 1, 0, 0, 1]),
    ):
        with Contest() as contest, Ledger("f", "c") as ledger:
            source, found = ContestSource(contest, Reading(), "f").unfinished(), []
            for said in (CONTEST, *KINDS, *lines):
                change = change_of(said, "f")
                assert change is not None
                contest.apply(change)
                current = Round(ledger, datetime.now(UTC))
                events = [event for page in source.changes(ledger, current, at_rest=at_rest) for event in page]
                fold_published(ledger, events)
                found.append(len(events))
        assert found[-len(lines) :] == expected, lines


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
