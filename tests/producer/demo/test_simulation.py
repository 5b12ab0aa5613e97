"""A simulated season: the same every time, and full of what goes wrong."""

from collections import Counter
from datetime import timedelta
from itertools import islice

import pytest

from bench.check import model_of
from solve_producer.demo.simulation import Season, bad_records, simulate
from solve_schemas.events import SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_schemas.record import decode
from solve_schemas.rejection import Rejected
from tests.events import BEGIN

SEASON = Season(start=BEGIN, events=20_000)


def test_the_same_options_give_the_same_events_and_another_seed_others() -> None:
    assert list(simulate(SEASON)) == list(simulate(SEASON))
    assert list(simulate(SEASON)) != list(simulate(Season(start=BEGIN, events=20_000, seed=2)))


def test_a_season_holds_everything_that_goes_wrong() -> None:
    events = list(simulate(SEASON))
    kinds = Counter(type(event) for event in events)
    assert len(events) == 20_000
    assert min(kinds[UserRegistered], kinds[SubmissionSolved], kinds[SubmissionRevoked]) > 100
    assert len(set(events)) < 20_000, "duplicates"
    judged = [event.judged_at for event in events if isinstance(event, SubmissionSolved)]
    assert judged != sorted(judged), "wrong order"
    model = model_of(events)
    assert model.parked, "users whom nobody registers"
    assert len({one.username for one in model.users.values()}) < len(model.users), "shared names"
    counts = sorted(one.problems_solved for one in model.solved.values())
    assert counts[-1] > 10 * counts[len(counts) // 2], "strong and weak users"


def test_no_bad_record_is_an_event() -> None:
    said = [decode(record.value, record.headers, 1_800_000_000_000) for record in islice(bad_records(SEASON), 200)]
    assert all(isinstance(one, Rejected) for one in said)
    assert len({one.reason for one in said if isinstance(one, Rejected)}) >= 4


@pytest.mark.parametrize(("events", "users"), [(1, 1), (500, 1_000), (5_000, 100), (40_000, 2_000)])
def test_a_season_does_not_last_longer_than_it_says_nor_end_long_before(events: int, users: int) -> None:
    season = Season(start=BEGIN, events=events, users=users)
    times = [one.judged_at for one in simulate(season) if not isinstance(one, UserRegistered)]
    took = max(times, default=BEGIN) - BEGIN
    assert took <= season.lasts + timedelta(minutes=1)  # a rejudge is said some seconds later
    if events > 10_000:
        assert took > 0.9 * season.lasts
