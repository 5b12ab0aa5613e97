"""Simulates a season: a seeded stream of realistic judge events, in bounded memory.

Popular problems, strong and weak users, several accepted submissions to one problem, rejudges and disqualifications,
renames, late registrations, users whom nobody registers, duplicates, and wrong order within a window. The same
options give the same events.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from math import sqrt
from random import Random
from typing import Self

from solve_schemas.events import Event, SubmissionSolved, UserRegistered
from solve_schemas.record import EncodedRecord, encode

LANGUAGES = ("cpp", "python", "java", "rust", "go")
LANGUAGE_WEIGHTS = (55, 25, 12, 5, 3)
REVOKE_REASONS = ("rejudged", "disqualified", "plagiarism")
REORDER_WINDOW = 200
RECENT_SOLVES = 1_000
LAST_REJUDGES = timedelta(hours=1)  # time for them after the season


@dataclass(frozen=True, slots=True)
class Season:
    """What to simulate. Rates are shares of events, 0 to 1. `start` needs a zone."""

    start: datetime
    seed: int = 1
    users: int = 1_000
    problems: int = 500
    events: int = 10_000
    duplicates: float = 0.05
    disorder: float = 0.2
    rejudges: float = 0.03
    unknown_users: float = 0.005
    late_registrations: float = 0.02
    seconds_between: float = 2.0  # on average, from one submission to the next

    @property
    def lasts(self) -> timedelta:
        """How long it is at most in its own time, as good as always.

        Registrations come before it, what is said again takes no time, and some events of its end are held back.
        """
        facts = max(self.events / (1 + self.duplicates) - self.users, 0) + REORDER_WINDOW
        return timedelta(seconds=(facts + 5 * sqrt(facts)) * self.seconds_between)

    def ending_now(self) -> Self:
        """The same, with a start so early that it is over: no time may lie ahead of the broker's clock by a day."""
        return replace(self, start=(datetime.now(UTC) - self.lasts - LAST_REJUDGES).replace(microsecond=0))


def simulate(season: Season) -> Iterator[Event]:
    """Exactly `season.events` events, in the order in which a judge would publish them."""
    rng = Random(season.seed)  # noqa: S311 - it must be the same every time, not secret
    stream = _with_duplicates(_with_disorder(_facts(season, rng), season, rng), season, rng)
    for _, event in zip(range(season.events), stream, strict=False):
        yield event


def _facts(season: Season, rng: Random) -> Iterator[Event]:
    """What happens, in order and once."""
    yield from _registrations(season, rng, late=False)
    late = deque(_registrations(season, rng, late=True))
    problem_weights = list(accumulate(1 / (rank + 2) for rank in range(season.problems)))
    strengths = [rng.paretovariate(1.2) for _ in range(season.users)]
    user_weights = list(accumulate(strengths))
    users, problems = range(season.users), range(season.problems)
    recent: deque[SubmissionSolved] = deque(maxlen=RECENT_SOLVES)
    now = season.start
    for number in count():
        now += timedelta(seconds=rng.expovariate(1 / season.seconds_between))
        if late and rng.random() < 0.01:
            yield late.popleft()
        if recent and rng.random() < season.rejudges:
            yield from _rejudge(rng.choice(recent), now, rng)
            continue
        user = rng.choices(users, cum_weights=user_weights)[0]
        user_id = f"ghost-{user}" if rng.random() < season.unknown_users else f"user-{user}"
        problem = rng.choices(problems, cum_weights=problem_weights)[0]
        judged_at = now + timedelta(milliseconds=rng.randrange(200, 20_000))
        solved = SubmissionSolved.model_construct(
            submission_id=f"sub-{season.seed}-{number}",
            user_id=user_id,
            problem_id=f"problem-{problem}",
            judged_at=judged_at,
            submitted_at=now,
            language=rng.choices(LANGUAGES, LANGUAGE_WEIGHTS)[0],
            contest_id=f"round-{number // 5_000}" if rng.random() < 0.3 else None,
        )
        recent.append(solved)
        yield solved


def _registrations(season: Season, rng: Random, *, late: bool) -> Iterator[UserRegistered]:
    """The first users come late, after some of their submissions; a few users are renamed."""
    late_users = int(season.users * season.late_registrations)
    for user in range(late_users) if late else range(late_users, season.users):
        registered_at = season.start - timedelta(seconds=rng.randrange(1, 10_000))
        yield UserRegistered(user_id=f"user-{user}", username=f"coder{user % 900}", registered_at=registered_at)
        if rng.random() < 0.02:
            later = registered_at + timedelta(seconds=60)
            yield UserRegistered(user_id=f"user-{user}", username=f"renamed{user}", registered_at=later)


def _rejudge(solved: SubmissionSolved, now: datetime, rng: Random) -> Iterator[Event]:
    """A rejudge takes the solve back; half of them give it back."""
    judged_at = max(now, solved.judged_at + timedelta(seconds=1))
    yield solved.revoked(judged_at, rng.choice(REVOKE_REASONS))
    if rng.random() < 0.5:
        yield solved.model_copy(update={"judged_at": judged_at + timedelta(seconds=30)})


def _with_disorder(events: Iterator[Event], season: Season, rng: Random) -> Iterator[Event]:
    """Holds some events back for a while."""
    held: list[Event] = []
    for event in events:
        if rng.random() < season.disorder:
            held.append(event)
            if len(held) > REORDER_WINDOW:
                yield held.pop(rng.randrange(len(held)))
        else:
            yield event


def _with_duplicates(events: Iterator[Event], season: Season, rng: Random) -> Iterator[Event]:
    """Sends some events again, at once or later."""
    recent: deque[Event] = deque(maxlen=RECENT_SOLVES)
    for event in events:
        yield event
        recent.append(event)
        if rng.random() < season.duplicates:
            yield rng.choice(recent)


def bad_records(season: Season) -> Iterator[EncodedRecord]:
    """Endless records that are not events: one dead letter each, among good neighbours."""
    good = SubmissionSolved(submission_id="bad", user_id="user-1", problem_id="problem-1", judged_at=season.start)
    kinds = list(_bad_values(good))
    rng = Random(season.seed)  # noqa: S311
    for number in count():
        value, type_name = kinds[number % len(kinds)] if number < len(kinds) else rng.choice(kinds)
        headers = [(name, type_name if name == "ce_type" else content) for name, content in encode(good).headers]
        yield EncodedRecord(b"user-1", value, headers)


def _bad_values(good: SubmissionSolved) -> Iterator[tuple[bytes, bytes]]:
    """Values beside their `ce_type`."""
    fields = good.model_dump(mode="json", exclude_none=True)
    solved = SubmissionSolved.type_name.encode()

    def changed(**changes: object) -> bytes:
        merged = {name: value for name, value in {**fields, **changes}.items() if value is not None}
        return json.dumps(merged).encode()

    yield b"not json", solved
    yield b"", solved
    yield b"[]", solved
    yield changed(problem_id=7), solved
    yield changed(user_id=None), solved
    yield changed(submission_id="nul\x00inside"), solved
    yield changed(submission_id="x" * 900_000), solved
    yield b'{"submission_id":"\xff\xfe"}', solved
    yield changed(judged_at=1_700_000_000), solved
    yield changed(judged_at="0001-01-01T00:00:00Z"), solved
    yield changed(judged_at="9999-12-31T23:59:59Z"), solved
    yield changed(judged_at="2100-01-01T00:00:00Z"), solved
    yield changed(), b"submission.unheard-of.v9"
