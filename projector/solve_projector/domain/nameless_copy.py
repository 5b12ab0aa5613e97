"""Says how each record stands in a copy of the log without the names of erased users (I13). Pure: the same each time.

Registrations that an erasure covers lose their name, other events of erased users all fields and headers that are not
ours, and dead letters that name somebody who is erased all but their place. Every other record stays as it is, and so
do the broker's timestamps, with which times are compared. So the copy folds to the same verdicts, counts and facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from solve_projector.domain.batch import LogRecord
from solve_projector.domain.decoding import decode_record
from solve_projector.domain.named_users import named_users
from solve_projector.domain.rule import SomeVerdict, Verdict, problem_fact_of, registration_of, removal_of
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import ProblemRestored, ProblemWithdrawn, UserRegistered, UserRemoved
from solve_schemas.record import decode, encode, source_of
from solve_schemas.rejection import Headers, Rejected

NO_KEY = b""  # the client sends no record without key and value


class Content(NamedTuple):
    """All of a record but its place."""

    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class Erasures:
    """The latest erasure of each user, and the latest registration of everybody."""

    erased_at: dict[str, datetime] = field(default_factory=dict)
    registered_at: dict[str, datetime] = field(default_factory=dict)

    def add(self, records: Iterable[LogRecord]) -> None:
        """Takes what records say; in any order."""
        for record in records:
            said = decode_record(record)
            if isinstance(said, UserRegistered):
                _keep_latest(self.registered_at, said.user_id, said.registered_at)
            elif isinstance(said, UserRemoved) and said.erase:
                _keep_latest(self.erased_at, said.user_id, said.removed_at)

    def concern(self, event: SomeVerdict | UserRegistered | UserRemoved) -> bool:
        """Whether a record may hold an erased name. One that is registered later than the erasure is none."""
        erased_at = self.erased_at.get(event.user_id)
        if isinstance(event, UserRegistered):
            return erased_at is not None and event.registered_at <= erased_at
        return erased_at is not None

    def blank(self, record: LogRecord) -> bool:
        """Whether a dead letter names somebody who is erased, or was since the broker had it."""
        for user_id in named_users(record.key, record.value) if self.erased_at else ():
            if (erased_at := self.erased_at.get(user_id)) is not None:
                registered_at = self.registered_at.get(user_id)
                if registered_at is None or registered_at <= erased_at:
                    return True
                if record.timestamp <= erased_at.timestamp() * 1000:
                    return True
        return False


def without_names(record: LogRecord, erasures: Erasures) -> Content:
    """A record as it stands in the copy."""
    said = decode_record(record)
    if isinstance(said, Rejected) and erasures.blank(record):
        return Content(record.timestamp, NO_KEY, None, ())
    event = decode(record.value, record.headers, record.timestamp)
    if isinstance(event, Rejected | ProblemWithdrawn | ProblemRestored) or not erasures.concern(event):
        key = NO_KEY if record.key is None and record.value is None else record.key
        return Content(record.timestamp, key, record.value, tuple(record.headers))
    # anew, since other fields and headers may hold the name, and its id is a hash of it
    if isinstance(event, UserRegistered):
        event = event.model_copy(update={"username": None})
    encoded = encode(event, source_of(record.value, record.headers) or DEFAULT_SOURCE)
    return Content(record.timestamp, encoded.key, encoded.value, tuple(encoded.headers))


class Outcome(NamedTuple):
    """What a record does to the tables, whatever its place and its bytes; `what` is None of a dead letter."""

    kind: str
    what: object


def outcome_of(record: LogRecord, erasures: Mapping[str, datetime]) -> Outcome:
    """Of two records with one outcome, either can stand for the other: the tables fold to the same."""
    said = decode_record(record)
    if isinstance(said, Verdict):
        kind = "solved" if said.solved else "revoked"
        return Outcome(kind, said._replace(partition=0, offset=0))
    if isinstance(said, UserRegistered):
        registered_at, unlisted, username = registration_of(said)
        erased_at = erasures.get(said.user_id)
        named = "" if erased_at is not None and registered_at <= erased_at else username
        return Outcome("registrations", (said.user_id, registered_at, unlisted, named))
    if isinstance(said, UserRemoved):
        return Outcome("removals", (said.user_id, removal_of(said)))
    if isinstance(said, ProblemWithdrawn | ProblemRestored):
        return Outcome("problem_facts", (said.problem_id, problem_fact_of(said)))
    return Outcome("dead_letters", None)


def _keep_latest(times: dict[str, datetime], user_id: str, time: datetime) -> None:
    times[user_id] = max(time, times.get(user_id, time))
