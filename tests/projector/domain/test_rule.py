"""Does the rule give the same result in any order, and the result that people expect?"""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from bench.model import Model, model_of
from solve_projector.domain.rule import board_order
from solve_schemas.events import Event
from tests import events as make
from tests.events import at, registered, revoked, solved


def shown(model: Model) -> object:
    """What must not depend on order: everything but where in the log a verdict came from."""
    return (
        model.names,
        {key: verdict[:9] for key, verdict in model.verdicts.items()},
        {key: verdict[:9] for key, verdict in model.parked.items()},
        model.solved,
    )


@given(st.lists(make.events, max_size=12).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some + some))))
def test_any_order_and_duplication_gives_the_same(case: tuple[list[Event], list[Event]]) -> None:
    events, shuffled_twice = case
    assert shown(model_of(shuffled_twice)) == shown(model_of(events))


def problems_solved(*events: Event) -> dict[str, int]:
    return {user_id: one.problems_solved for user_id, one in model_of([registered("u"), *events]).solved.items()}


def test_two_submissions_to_one_problem_count_once() -> None:
    assert problems_solved(solved("1", "u", "p", 1), solved("2", "u", "p", 2)) == {"u": 1}


def test_a_rejudge_takes_the_solve_away_and_gives_it_back() -> None:
    first, away, back = solved("1", "u", "p", 1), revoked("1", "u", "p", 2), solved("1", "u", "p", 3)
    for order in permutations([first, away]):
        assert problems_solved(*order) == {}
    for order in permutations([first, away, back]):
        assert problems_solved(*order) == {"u": 1}


def test_on_a_tie_revoked_beats_solved() -> None:
    for order in permutations([solved("1", "u", "p", 1), revoked("1", "u", "p", 1)]):
        assert problems_solved(*order) == {}


def test_another_accepted_submission_keeps_the_problem_solved() -> None:
    assert problems_solved(solved("1", "u", "p", 1), solved("2", "u", "p", 2), revoked("1", "u", "p", 3)) == {"u": 1}


def test_a_verdict_that_names_another_problem_is_another_submission() -> None:
    assert problems_solved(solved("1", "u", "p", 1), solved("1", "u", "q", 2)) == {"u": 2}


def test_the_last_solve_is_the_latest_first_solve() -> None:
    model = model_of(
        [
            registered("u"),
            solved("1", "u", "p", 10, submitted_at=at(9)),
            solved("2", "u", "p", 99, submitted_at=at(98)),
            solved("3", "u", "q", 20, submitted_at=at(19)),
        ]
    )
    assert model.solved["u"].last_solved_at == at(19)


def test_the_board_puts_the_earlier_second_first_and_then_the_smaller_id() -> None:
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
    assert sorted(model.solved, key=lambda user: board_order(user, model.solved[user])) == ["d", "c", "a", "b"]


def test_the_later_registration_names_the_user_and_on_a_tie_the_greater_name() -> None:
    for order in permutations([registered("u", 1, "old"), registered("u", 2, "alpha"), registered("u", 2, "beta")]):
        assert model_of(order).names == {"u": "beta"}
