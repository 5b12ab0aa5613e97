"""Gathers the users and solves of one contest from standings of any form, and reports what was left out.

Ids begin with the contest's, as those of a CLICS feed do, so that two contests never share one. They are made of what
the file says, never of a place in it: a file that is exported again names the same things by the same ids. A time or an
id that cannot be used ends the reading, since a solve that is dropped would look like one that was taken back.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from msgspec import MsgspecError, Raw
from msgspec.json import decode

from solve_schemas.events import TEXT_MAX_CHARS
from solve_schemas.record import EARLIEST_TIME
from solve_sources.errors import StandingsUnusable
from solve_sources.reconciliation.wanted import WantedSolve, WantedUser
from solve_sources.text import CONTROL_CHARS, cleaned

Model = TypeVar("Model")

LATEST = timedelta(days=1)  # a later time is no event's
SECONDS_MAX = 10**11
TRUNCATED = "Input data was truncated"  # as msgspec says it


@dataclass(frozen=True, slots=True)
class Reading:
    """A file, and what it may need beside what it says."""

    data: bytes
    name: str
    contest_id: str | None = None
    default_time: datetime | None = None
    teams: bytes | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def refuse(self, place: str, said: str) -> NoReturn:
        """Raises StandingsUnusable, with the place."""
        raise StandingsUnusable(f"{self.name}: {place}: {said}")

    def contest(self, named: object = None) -> str:
        """The contest's id: the option's, or the file's own. Raises StandingsUnusable."""
        found = cleaned(self.contest_id or ("" if named is None else str(named))).strip()
        if not found:
            raise StandingsUnusable(f"{self.name} does not name its contest; give its id with --contest-id")
        return found

    def id_of(self, place: str, *parts: str) -> str:
        """The parts with colons between them. Raises StandingsUnusable where that is no id."""
        made = CONTROL_CHARS.sub(" ", ":".join(parts))
        if len(made) > TEXT_MAX_CHARS:
            self.refuse(place, f"an id of more than {TEXT_MAX_CHARS} characters, with the contest's; use a shorter one")
        if not all(part.strip() for part in parts):
            self.refuse(place, "an id is empty; name it in the file")
        return made

    def moment(self, place: str, time: datetime) -> datetime:
        """A time that an event can have. Raises StandingsUnusable."""
        if not EARLIEST_TIME <= time <= self.now + LATEST:
            self.refuse(place, f"the time {time.isoformat()} is not between 1970 and now; correct the file")
        return time

    def after(self, place: str, start: datetime, spent: timedelta) -> datetime:
        """A time since the start of the contest. Raises StandingsUnusable."""
        try:
            return self.moment(place, start + spent)
        except OverflowError:
            self.refuse(place, "a time that is too far from the start; correct the file")

    def missing_time(self, place: str) -> datetime:
        """The time of a solve that has none. Raises StandingsUnusable."""
        if self.default_time is None:
            self.refuse(place, "a solve has no time; give one for all such with --default-time")
        return self.moment(place, self.default_time)


@dataclass(slots=True)
class Report:
    """What was found in the file, and what was left out of it or should be known, each with its count."""

    form: str
    contest_id: str
    users: int = 0
    unlisted_users: int = 0
    solved: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)

    def people(self) -> list[str]:
        """One line a count; what is not there only if there is any."""
        lines = [f"contest {self.contest_id}, from {self.form}", f"users: {self.users}"]
        if self.unlisted_users:
            lines.append(f"unlisted users: {self.unlisted_users}")
        lines.append(f"solved: {self.solved}")
        lines += [f"left out, {what}: {count}" for what, count in sorted(self.left_out.items()) if count]
        return lines + [f"{what}: {count}" for what, count in sorted(self.remarks.items()) if count]


@dataclass(frozen=True, slots=True)
class Standings:
    """A contest as a file of standings has it. `frozen_since`: solves from then on are not shown yet."""

    contest_id: str
    users: list[WantedUser]
    solves: list[WantedSolve]
    report: Report
    frozen_since: datetime | None = None


@dataclass(slots=True)
class Gathering:
    """Standings while they are read."""

    reading: Reading
    report: Report
    users: dict[str, WantedUser] = field(default_factory=dict)
    solves: dict[tuple[str, str, str], WantedSolve] = field(default_factory=dict)

    @property
    def contest_id(self) -> str:
        return self.report.contest_id

    def user(self, place: str, user_id: str, name: str, registered_at: datetime, *, listed: bool) -> None:
        """Adds a user. Raises StandingsUnusable where there is one of that id."""
        if user_id in self.users:
            self.reading.refuse(place, f'there are two of the id "{user_id}"; correct the file')
        since = min(registered_at, self.reading.now)  # of a contest that is to come
        since = self.reading.moment(place, since)
        username = cleaned(name) if name.strip() else user_id
        self.users[user_id] = WantedUser(user_id, username, since, listed)

    def solve(self, solve: WantedSolve) -> None:
        """Adds a solve; of two with the same id, user and problem the earlier one."""
        key = solve.user_id, solve.problem_id, solve.submission_id
        self.solves[key] = min(solve, self.solves.get(key, solve))

    def standings(self, frozen_since: datetime | None = None) -> Standings:
        """What was gathered."""
        self.report.users, self.report.solved = len(self.users), len(self.solves)
        self.report.unlisted_users = sum(not user.listed for user in self.users.values())
        users, solves = list(self.users.values()), list(self.solves.values())
        return Standings(self.contest_id, users, solves, self.report, frozen_since)


def decoded(reading: Reading, data: bytes | Raw, model: type[Model], place: str = "$") -> Model:
    """A part of the file. Raises StandingsUnusable, with the place as a JSON path."""
    try:
        return decode(data, type=model)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        said, _, inner = str(error).partition(" - at `$")
        do = "the file was cut; get it again" if said == TRUNCATED else "correct the file, or get it again"
        raise StandingsUnusable(f"{reading.name}: {place}{inner.rstrip('`')}: {said}; {do}") from None


def each(reading: Reading, parts: Iterable[Raw], model: type[Model], place: str) -> Iterable[tuple[str, Model]]:
    """The parts of a list, each with its place; one at a time, so that a large file is not held twice."""
    for index, part in enumerate(parts):
        where = f"{place}[{index}]"
        yield where, decoded(reading, part, model, where)


def seconds(number: int) -> timedelta:
    """Seconds, however many a file says."""
    return timedelta(seconds=max(-SECONDS_MAX, min(number, SECONDS_MAX)))


def text_of(said: str | dict[str, Any] | None) -> str:
    """Text that may be given in several languages; its fallback, or the first that is there."""
    if isinstance(said, dict):
        said = next((one for one in (said.get("fallback"), *said.values()) if isinstance(one, str) and one), None)
    return said or ""
