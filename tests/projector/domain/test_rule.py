"""The rule: the same result in any order, and the result that people expect."""

from collections.abc import Iterable
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.check import model_of
from bench.oracle import First, Model, Problem, Removal, Solved, User, Verdict
from solve_projector.domain import rule
from solve_schemas.events import Event, ProblemRestored, ProblemWithdrawn, UserRegistered, UserRemoved
from tests import events as make
from tests.events import at, registered, revoked, solved


def folded(events: Iterable[Event]) -> Model:
    """The product's rule, in the oracle's shape; a place in the log is no part of it."""
    registrations: dict[str, rule.Registration] = {}
    removals: dict[str, rule.Removal] = {}
    problems: dict[str, rule.ProblemFact] = {}
    standing: dict[rule.VerdictKey, rule.Verdict] = {}
    for place, event in enumerate(events):
        if isinstance(event, UserRegistered):
            rule.fold_registration(registrations, event.user_id, rule.registration_of(event))
        elif isinstance(event, UserRemoved):
            rule.fold_removal(removals, event.user_id, rule.removal_of(event))
        elif isinstance(event, ProblemWithdrawn | ProblemRestored):
            rule.fold_problem_fact(problems, event.problem_id, rule.problem_fact_of(event))
        else:
            rule.fold_verdict(standing, rule.verdict_of(event, 0, place))
    known = {key: verdict for key, verdict in standing.items() if key[0] in registrations}
    firsts = rule.first_solves(known.values())
    withdrawn = {problem_id for problem_id, fact in problems.items() if fact.withdrawn}
    return Model(
        {
            user_id: User(one.registered_at, *rule.state_of(one, removals.get(user_id))[:3])
            for user_id, one in registrations.items()
        },
        {user_id: Removal(*one) for user_id, one in removals.items()},
        {problem_id: Problem(*one) for problem_id, one in problems.items()},
        {key: Verdict(*verdict[3:9], verdict.revision) for key, verdict in known.items()},
        {key: Verdict(*verdict[3:9], verdict.revision) for key, verdict in standing.items() if key not in known},
        {
            pair: First(one.submitted_at, one.submission_id, *one[6:8])
            for pair, one in firsts.items()
            if one.submitted_at
        },
        {user_id: Solved(*one) for user_id, one in rule.count(known.values(), withdrawn).items() if one.last_solved_at},  # type: ignore[arg-type]
    )


def twice(some: list[Event]) -> st.SearchStrategy[tuple[list[Event], list[Event]]]:
    """Some events, and each of them twice in any order."""
    return st.tuples(st.just(some), st.permutations(some + some))


@settings(max_examples=300)
@given((st.lists(make.events, max_size=12) | st.lists(make.ties, max_size=6)).flatmap(twice))
def test_any_order_and_duplication_gives_what_the_oracle_says(case: tuple[list[Event], list[Event]]) -> None:
    events, shuffled_twice = case
    assert folded(shuffled_twice) == folded(events) == model_of(events) == model_of(shuffled_twice)


def problems_solved(*events: Event) -> dict[str, int]:
    """By the product and by the oracle, which agree."""
    some = [registered("u"), *events]
    assert folded(some) == model_of(some)
    return {user_id: one.problems_solved for user_id, one in model_of(some).solved.items()}


def test_two_submissions_to_one_problem_count_once() -> None:
    assert problems_solved(solved("1", "u", "p", 1), solved("2", "u", "p", 2)) == {"u": 1}


def test_a_rejudge_takes_a_solve_back_and_gives_it_again() -> None:
    first, taken, back = solved("1", "u", "p", 1), revoked("1", "u", "p", 2), solved("1", "u", "p", 3)
    for order in permutations([first, taken]):
        assert problems_solved(*order) == {}
    for order in permutations([first, taken, back]):
        assert problems_solved(*order) == {"u": 1}


def test_on_a_tie_revoked_beats_solved() -> None:
    for order in permutations([solved("1", "u", "p", 1), revoked("1", "u", "p", 1)]):
        assert problems_solved(*order) == {}


def test_another_accepted_submission_keeps_the_problem_solved() -> None:
    assert problems_solved(solved("1", "u", "p", 1), solved("2", "u", "p", 2), revoked("1", "u", "p", 3)) == {"u": 1}


def test_a_verdict_that_names_another_problem_is_another_submission() -> None:
    assert problems_solved(solved("1", "u", "p", 1), solved("1", "u", "q", 2)) == {"u": 2}


def test_an_event_of_a_user_whom_nobody_registered_is_parked() -> None:
    model = folded([solved("1", "nobody", "p", 1)])
    assert (model.solved, list(model.parked)) == ({}, [("nobody", "p", "1")])


def test_the_last_solve_is_the_latest_first_solve() -> None:
    some = [
        registered("u"),
        solved("1", "u", "p", 10, submitted_at=at(9)),
        solved("2", "u", "p", 99, submitted_at=at(98)),
        solved("3", "u", "q", 20, submitted_at=at(19)),
    ]
    assert folded(some).solved["u"].last_solved_at == model_of(some).solved["u"].last_solved_at == at(19)


def test_the_leaderboard_puts_the_earlier_second_first_and_then_the_smaller_id() -> None:
    model = model_of(
        [
            *(registered(user) for user in "abcd"),
            solved("1", "b", "p", 5.9),
            solved("2", "a", "p", 5.1),
            solved("3", "c", "p", 4),
            solved("4", "d", "p", 9),
            solved("5", "d", "q", 9),
        ]
    )
    assert [row[0] for row in model.board()] == ["d", "c", "a", "b"]


def test_the_later_registration_names_the_user_and_on_a_tie_the_greater_name() -> None:
    for order in permutations([registered("u", 1, "old"), registered("u", 2, "alpha"), registered("u", 2, "beta")]):
        assert folded(order).users == model_of(order).users == {"u": User(at(2), "beta", listed=True, removed=False)}
