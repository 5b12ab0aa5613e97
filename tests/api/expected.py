"""Answers of the API as the oracle has them: plain lines over its model, which share nothing with the product."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bench.oracle import First, Model

TICK = timedelta(microseconds=1)
BEFORE_EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
RECENT_SOLVES = 20
Place = tuple[str, int, datetime]  # user, count, second of the last solve
PERIODS: Mapping[str, Callable[[date], object]] = {
    "day": lambda day: day,
    "week": lambda day: day.isocalendar()[:2],
    "month": lambda day: (day.year, day.month),
    "year": lambda day: day.year,
}


@dataclass(frozen=True)
class State:
    """What PostgreSQL has, and a time at which it had been committed."""

    committed_at: datetime
    model: Model


def time_of(text: str) -> datetime:
    """A time in JSON."""
    return datetime.fromisoformat(text)


def order_of(place: Place) -> tuple[int, datetime, bytes]:
    """What places are sorted by."""
    user, solved, second = place
    return -solved, second, user.encode()


def is_shown(model: Model, user: str) -> bool:
    """Whether a user is on boards, and found by a search."""
    return user in model.users and model.users[user].listed and not model.users[user].removed


def board_of(model: Model, period: str = "all", zone: str = "UTC", begins_at: str | None = None) -> list[Place]:
    """All places: of all time, or of the period in which a moment lies."""
    if begins_at is None:
        return model.board()
    wanted = label_of(period, zone, time_of(begins_at))
    times: dict[str, list[datetime]] = {}
    for (user, problem), first in model.firsts.items():
        if is_withdrawn(problem, model):
            continue
        if is_shown(model, user) and label_of(period, zone, first.solved_at) == wanted:
            times.setdefault(user, []).append(first.solved_at)
    return sorted(((user, len(some), max(some).replace(microsecond=0)) for user, some in times.items()), key=order_of)


def label_of(period: str, zone: str, moment: datetime) -> object:
    """What names the day, week, month or year of a moment; equal for all moments of it."""
    return PERIODS[period](moment.astimezone(ZoneInfo(zone)).date())


def is_whole_period(period: str, zone: str, begins_at: str, ends_at: str) -> bool:
    """Whether these are the first moment of a period and the first after it."""
    begin, end = time_of(begins_at), time_of(ends_at)
    inside = {label_of(period, zone, one) for one in (begin, end - TICK)}
    outside = {label_of(period, zone, one) for one in (begin - TICK, end)}
    return len(inside) == 1 and not inside & outside


def page_of(board: list[Place], question: tuple[str, Any], limit: int) -> dict[str, Any]:
    """One page: `("begin", None)`, `("after", place)`, `("before", place)` or `("around", user)`."""
    mode, what = question
    begin = 0
    if mode == "after":
        begin = sum(order_of(one) <= order_of(what) for one in board)
    elif mode == "before":
        last = sum(order_of(one) < order_of(what) for one in board)
        begin, limit = max(0, last - limit), min(last, limit)
    elif mode == "around":
        users = [user for user, _, _ in board]
        begin = max(0, users.index(what) - limit // 2) if what in users else 0
    rows = board[begin : begin + limit]
    entries = [_entry(rank_of(one, board), one) for one in rows]
    mine = [_entry(rank_of(one, board), one) for one in board if mode == "around" and one[0] == what]
    return {
        "total": len(board),
        "entries": entries,
        "me": mine[0] if mine else None,
        "next": begin + len(rows) < len(board),
        "previous": begin > 0,
    }


def _entry(rank: int, place: Place) -> dict[str, Any]:
    user, solved, second = place
    return {"rank": rank, "user_id": user, "problems_solved": solved, "last_solved_at": second}


def solves_of(model: Model, user: str) -> list[dict[str, Any]]:
    """All first solves, newest first."""
    found = [(problem, first) for (one, problem), first in model.firsts.items() if one == user]
    found.sort(key=lambda row: row[0].encode())
    found.sort(key=lambda row: row[1].solved_at, reverse=True)
    return [_solve(problem, first, model) for problem, first in found]


def _solve(problem: str, first: First, model: Model) -> dict[str, Any]:
    return {
        "problem_id": problem,
        "submission_id": first.submission_id,
        "submitted_at": first.solved_at,
        "language": first.language or None,
        "contest_id": first.contest_id or None,
        "withdrawn": is_withdrawn(problem, model),
    }


def is_withdrawn(problem: str, model: Model) -> bool:
    """Whether nobody has solved it, whatever they submitted."""
    return problem in model.problems and model.problems[problem].withdrawn


def profile_of(model: Model, user: str, zone: str) -> dict[str, Any]:
    """A profile without its rank and its current streak."""
    solves = [one for one in solves_of(model, user) if not one["withdrawn"]]
    days = Counter(one["submitted_at"].astimezone(ZoneInfo(zone)).date() for one in solves)
    languages = Counter(one["language"] for one in solves if one["language"])
    registered_at, username, listed, _ = model.users[user]
    return {
        "user_id": user,
        "username": username,
        "problems_solved": len(solves),
        "last_solved_at": solves[0]["submitted_at"] if solves else None,
        "registered_at": registered_at,
        "listed": listed,
        "longest_streak": max((_run(days, day) for day in days), default=0),
        "timezone": zone,
        "days": [{"day": day, "solved": days[day]} for day in sorted(days)],
        "languages": [
            {"language": one, "solved": number}
            for one, number in sorted(languages.items(), key=lambda item: (-item[1], item[0].encode()))
        ],
        "recent_solves": solves[:RECENT_SOLVES],
    }


def current_streak(days: Sequence[date], today: date) -> int:
    """Consecutive days up to the newest, if that is not before yesterday."""
    newest = max(days, default=None)
    return _run(set(days), newest) if newest and newest >= today - timedelta(days=1) else 0


def _run(days: Any, last: date) -> int:
    length = 0
    while last - timedelta(days=length) in days:
        length += 1
    return length


def rank_of(place: Place, others: list[Place]) -> int:
    """The rank of somebody who stands so, among these others; who is equal in count and second shares one."""
    return 1 + sum(order_of(one)[:2] < order_of(place)[:2] for one in others if one[0] != place[0])


def found_by(model: Model, text: str) -> list[str]:
    """Those whose name or id starts with a text, in any capitals and any Unicode form, in the order of a search."""
    names = {user: (folded(one.username), folded(user)) for user, one in model.users.items() if is_shown(model, user)}
    users = [user for user, keys in names.items() if any(key.startswith(folded(text)) for key in keys)]
    return sorted(users, key=lambda user: (-solved_by(model, user), user.encode()))


def folded(text: str) -> str:
    """What texts are compared by."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def solved_by(model: Model, user: str) -> int:
    """How many problems somebody has solved."""
    return model.solved[user].problems_solved if user in model.solved else 0
