"""A copy without erased names folds to the same, by the rule alone (Hypothesis)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st

from solve_projector.domain.batch import Batch, Rows, decode_records, fold
from solve_projector.domain.nameless_copy import Erasures, outcome_of, without_names
from solve_projector.domain.rule import UserState, VerdictKey, state_of
from solve_schemas.events import Event, UserRegistered
from solve_schemas.record import encode
from tests import events as make
from tests.events import at, registered, removed, solved, withdrawn

BROKER_MS = int(at(86_400).timestamp() * 1000)


@dataclass
class Record:
    """A record as the consumer gives it."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def log_of(events: list[Event], sources: Sequence[bytes] = (b"solve-counts",)) -> list[Record]:
    """One partition with these events, by turns of these sources."""
    encoded = [encode(event) for event in events]
    return [
        Record(0, place, BROKER_MS, one.key, one.value, (*one.headers[:2], ("ce_source", source), *one.headers[3:]))
        for place, (one, source) in enumerate(zip(encoded, cycle(sources), strict=False))
    ]


def copy_of(records: list[Record]) -> list[Record]:
    erasures = Erasures()
    erasures.add(records)
    return [Record(0, one.offset, *without_names(one, erasures)) for one in records]


def folded(records: list[Record]) -> Rows:
    return fold(Batch({0: (0, len(records))}, decode_records(records)))


def states(rows: Rows) -> dict[str, UserState]:
    return {user: state_of(one, rows.removals.get(user)) for user, one in rows.registrations.items()}


def verdicts(rows: Rows) -> dict[VerdictKey, tuple[object, ...]]:
    return {key: tuple(verdict) for key, verdict in rows.verdicts.items()}


@given(st.lists(make.events, max_size=25) | st.lists(make.ties, max_size=8))
def test_the_copy_folds_to_the_same(some: list[Event]) -> None:
    records = log_of(some, (b"judge", b"\xff", "ü".encode(), b"solve-counts", b"x" * 201))
    copied = copy_of(records)
    original, copy = folded(records), folded(copied)
    assert (states(copy), copy.removals, verdicts(copy)) == (states(original), original.removals, verdicts(original))
    assert copy.problem_facts == original.problem_facts
    assert copy.dead_letters == []
    erasures = Erasures()
    erasures.add(records)
    for record, its_copy in zip(records, copied, strict=True):
        assert outcome_of(record, erasures.erased_at) == outcome_of(its_copy, {})
    assert copy_of(copied) == copied, "a copy of a copy is the same"


@given(st.lists(make.events, max_size=25))
def test_every_name_that_is_left_is_newer_than_the_erasure(some: list[Event]) -> None:
    records = log_of(some)
    erasures = Erasures()
    erasures.add(records)
    for one in decode_records(copy_of(records)):
        said = one.said
        if isinstance(said, UserRegistered) and said.username and (erased_at := erasures.erased_at.get(said.user_id)):
            assert said.registered_at > erased_at


def test_another_ce_id_and_no_unknown_field_stay_of_a_name() -> None:
    record, _ = records = log_of([registered("u", username="Ada"), removed("u", 1, erase=True)])
    record.headers = (*record.headers[:2], ("ce_source", b"my judge"), *record.headers[3:], ("note", b"Ada"))
    erased, _ = copy_of(records)
    assert b"Ada" not in str(erased).encode()
    assert dict(erased.headers)["ce_source"] == b"my judge"
    assert dict(erased.headers)["ce_id"] != dict(record.headers)["ce_id"]


def test_fields_and_headers_of_the_judges_own_go_with_the_name_from_verdicts_too() -> None:
    records = log_of([solved("1", "u", "p", 5), withdrawn("p", 6), removed("u", 1, erase=True), solved("2", "v", "p")])
    for record in records:
        assert record.value
        record.value = record.value[:-1] + b',"author":"Ada"}'
        record.headers = (*record.headers, ("author", b"Ada"))
    copied = copy_of(records)
    assert [b"Ada" in str(one).encode() for one in copied] == [False, True, False, True]
    erasures = Erasures()
    erasures.add(records)
    assert [outcome_of(one, {}).kind for one in copied] == ["solved", "problem_facts", "removals", "solved"]
    for record, its_copy in zip(records, copied, strict=True):
        assert outcome_of(record, erasures.erased_at) == outcome_of(its_copy, {})


def test_a_structured_event_keeps_the_source_of_its_envelope() -> None:
    records = log_of([registered("u", username="Ada"), removed("u", 1, erase=True)])
    data = json.loads(records[0].value or b"")
    envelope = {"specversion": "1.0", "type": "user.registered.v1", "id": "1", "source": "my judge", "data": data}
    records[0].headers, records[0].value = (), json.dumps(envelope).encode()
    copied = copy_of(records)[0]
    assert b"Ada" not in (copied.value or b"")
    assert dict(copied.headers)["ce_source"] == b"my judge"


def test_what_is_left_of_a_dead_letter_in_the_wire_format_is_its_place() -> None:
    records = log_of([removed("u", 1, erase=True), registered("u", username="Ada"), registered("v", username="Bob")])
    for record in records[1:]:
        record.key, record.value = b"\0\0\0\0\7" + record.key, b"\0\0\0\0\7" + record.value  # type: ignore[operator]
    assert [one.value is None for one in copy_of(records)] == [False, True, False]
