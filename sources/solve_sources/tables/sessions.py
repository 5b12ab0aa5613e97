"""Turns rows of a platform's own tables into what a source says: attempts into solves, users. No I/O.

A row always gives the same solve, so that an import can be run again: it counts once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, tzinfo
from decimal import Decimal
from math import isfinite
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from solve_schemas.events import SubmissionSolved, UserRegistered
from solve_schemas.messages import message_of
from solve_schemas.record import out_of_range
from solve_sources.errors import BadRow
from solve_sources.reconciliation.scratch import in_microseconds
from solve_sources.reconciliation.wanted import WantedSolve, WantedUser
from solve_sources.tables.submissions import NO_TIME, Refusal
from solve_sources.text import CONTROL_CHARS

MADE_ID = "session-{key}"
YES = frozenset(("1", "t", "true", "y", "yes", "on"))
NO = frozenset(("", "0", "f", "false", "n", "no", "off"))

Row = Mapping[str, Any]
Model = TypeVar("Model", SubmissionSolved, UserRegistered)


@dataclass(frozen=True, slots=True)
class TimeRules:
    """How times are read: the zone of those without one, and what replaces one that is missing."""

    zone: tzinfo = UTC
    default_time: datetime | None = None

    def moment(self, value: Any, what: str) -> datetime:
        """A time with its zone. Raises BadRow."""
        if value is None:
            if self.default_time is None:
                raise BadRow(f"{what} has no time; fix the row, or give one for all such rows with --default-time")
            return self.default_time
        if isinstance(value, datetime):
            if value.year in {MINYEAR, MAXYEAR}:
                raise BadRow(f"{what} has the time infinity; fix the row")
            return value if value.tzinfo else value.replace(tzinfo=self.zone).astimezone(UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=self.zone).astimezone(UTC)
        raise BadRow(f'{what} has "{value}" for a time; its column must be a timestamp')


@checked_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Prefix:
    """What is put before each id, where several platforms share one log."""

    user_id: str = ""
    problem_id: str = ""
    submission_id: str = ""
    contest_id: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What rows mean. `solved`: the values of `completed` that count; None where it says yes or no itself."""

    times: TimeRules = field(default_factory=TimeRules)
    prefix: Prefix = field(default_factory=Prefix)
    solved: frozenset[str] | None = None


@dataclass(slots=True)
class SolvesPage:
    """What a page of attempts says; `not_completed` and `bad_rows` are the rest of its rows.

    Of what is not completed, `refusals` are those whose submission may have other rows.
    """

    solves: list[WantedSolve] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    not_completed: int = 0
    bad_rows: list[str] = field(default_factory=list)


@dataclass(slots=True)
class UsersPage:
    """What a page of users says; `bad_rows` is the rest of its rows."""

    users: list[WantedUser] = field(default_factory=list)
    bad_rows: list[str] = field(default_factory=list)


def solves_of(rows: Iterable[Row], rules: Rules, now: datetime) -> SolvesPage:
    """The solves of a page of attempts."""
    page = SolvesPage()
    for row in rows:
        try:
            solve = solve_of(row, rules, now)
        except BadRow as error:
            page.bad_rows.append(str(error))
            continue
        if solve is None:
            page.not_completed += 1
            page.refusals += refusal_of(row, rules)
        else:
            page.solves.append(solve)
    return page


def users_of(rows: Iterable[Row], rules: Rules, now: datetime) -> UsersPage:
    """The users of a page."""
    page = UsersPage()
    for row in rows:
        try:
            page.users.append(user_of(row, rules, now))
        except BadRow as error:
            page.bad_rows.append(str(error))
    return page


def solve_of(row: Row, rules: Rules, now: datetime) -> WantedSolve | None:
    """What a completed attempt says; None for one that was not completed. Raises BadRow, with the row's key."""
    what = f"the row with key {row['key_text']}"
    if not _is_solved(row["completed"], rules, what):
        return None
    prefix, contest = rules.prefix, row.get("contest_id")
    judged_at = rules.times.moment(row["completed_at"], what)
    submitted_at = row.get("submitted_at")
    event = _checked(
        SubmissionSolved,
        {
            "submission_id": _prefixed(prefix.submission_id, row.get("submission_id"))
            or MADE_ID.format(key=row["key_text"]),
            "user_id": _prefixed(prefix.user_id, row["user_id"]),
            "problem_id": _prefixed(prefix.problem_id, row["problem_id"]),
            "judged_at": judged_at,
            "submitted_at": judged_at if submitted_at is None else rules.times.moment(submitted_at, what),
            "language": row.get("language"),
            "contest_id": _prefixed(prefix.contest_id, contest) if contest else None,
            "revision": _whole(row.get("revision")),
        },
        what,
        now,
    )
    return WantedSolve(
        event.user_id,
        event.problem_id,
        event.submission_id,
        event.judged_at,
        event.submitted_at or event.judged_at,
        event.language or "",
        event.contest_id or "",
        event.revision or 0,
    )


def refusal_of(row: Row, rules: Rules) -> list[Refusal]:
    """What a row says that is not completed, if it names its submission."""
    prefix, submission_id = rules.prefix, row.get("submission_id")
    if submission_id is None:
        return []
    try:
        judged_at = in_microseconds(rules.times.moment(row["completed_at"], ""))
    except BadRow:
        judged_at = NO_TIME
    revision = _whole(row.get("revision"))
    return [
        Refusal(
            f"{prefix.user_id}{row['user_id']}",
            f"{prefix.problem_id}{row['problem_id']}",
            f"{prefix.submission_id}{submission_id}",
            judged_at if row["completed_at"] is not None else NO_TIME,
            revision if isinstance(revision, int) else 0,
        )
    ]


def user_of(row: Row, rules: Rules, now: datetime) -> WantedUser:
    """What a user's row says; control characters in the name become spaces. Raises BadRow."""
    what = f"the user with id {row['key_text']}"
    listed = row.get("listed")
    event = _checked(
        UserRegistered,
        {
            "user_id": _prefixed(rules.prefix.user_id, row["key_text"]),
            "username": CONTROL_CHARS.sub(" ", row["username"] or ""),
            "registered_at": rules.times.moment(row["registered_at"], what),
            "listed": None if listed is None else _truth(listed, what),
        },
        what,
        now,
    )
    return WantedUser(event.user_id, event.username or "", event.registered_at, event.listed)


def _whole(value: Any) -> Any:
    """A whole number of a column of another kind of number as one; anything else as it is."""
    is_whole = isinstance(value, Decimal | float) and isfinite(value) and value == int(value)
    return int(value) if is_whole else value


def value_text(value: Any) -> str:
    """A verdict's value as it is written in a mapping, whatever its type in the database."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal | float) and isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip()  # char(n) is padded


def _is_solved(value: Any, rules: Rules, what: str) -> bool:
    if rules.solved is None:
        return _truth(value, what)
    return value is not None and value_text(value) in rules.solved


def _truth(value: Any, what: str) -> bool:
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in YES | NO:
            raise BadRow(f'{what} has "{value}" where yes or no is needed; give the values that count in a --mapping')
        return word in YES
    if isinstance(value, float | Decimal) and not isfinite(value):  # which would be yes
        raise BadRow(f"{what} has {value} where yes or no is needed; fix the row")
    return bool(value)


def _prefixed(prefix: str, value: Any) -> Any:
    return value if value is None else f"{prefix}{value}"


def _checked(model: type[Model], fields: dict[str, Any], what: str, now: datetime) -> Model:
    try:
        event = model.model_validate(fields)
    except ValidationError as error:
        raise BadRow(f"{what} is not an event: {message_of(error)}; fix the row") from None
    if refused := out_of_range(event, int(now.timestamp() * 1000)):
        raise BadRow(f"{what} is not an event: {refused}; fix the row")
    return event
