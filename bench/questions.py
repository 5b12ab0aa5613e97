"""The questions of `bench.scale`: which pages, how often a second, and the time at p99 that is promised for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/Los_Angeles"),
    *("Asia/Shanghai", "Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney"),
)
CHAMPION = "user-0"  # `bench/crowd.sql` gives this user the most solves
Path = Callable[[int], str]


@dataclass(frozen=True)
class Promise:
    """Pages of one kind."""

    path: Path  # of the nth question
    rate: float
    p99_ms: float


def boards(users: int) -> Mapping[str, Promise]:
    """Profiles and the board of all time: asked with Redis in sync, and with Redis emptied."""
    return {
        "profile of somebody": Promise(lambda n: f"/api/users/{_somebody(users, n)}", 20, 60),
        "first page": Promise(lambda _: "/api/leaderboard?limit=50", 20, 30),
        "around somebody": Promise(lambda n: f"/api/leaderboard?limit=50&around={_somebody(users, n)}", 20, 60),
    }


def periods() -> Mapping[str, Promise]:
    """The boards of periods, each in eight zones in turn."""

    def path_of(period: str) -> Path:
        return lambda n: f"/api/leaderboard?limit=50&period={period}&tz={ZONES[n % len(ZONES)]}"

    return {period: Promise(path_of(period), 10, 50) for period in ("day", "week", "month", "year")}


def searches(users: int) -> Mapping[str, Promise]:
    """Beginnings of names and ids, of one to five letters."""

    def beginning(number: int) -> str:
        rng = Random(number)
        name = _somebody(users, number) if rng.random() < 0.2 else "".join(rng.choices("abcdefghijklmnop", k=5))
        return name[: 1 + number % 5]

    return {"search": Promise(lambda n: f"/api/users?q={beginning(n)}", 20, 20)}


def champion() -> Mapping[str, Promise]:
    """The user with the most solves, of whom each question costs as much as of hundreds of others."""
    return {
        "profile of the one with most": Promise(lambda _: f"/api/users/{CHAMPION}", 5, 30),
        "all solves of the one with most": Promise(lambda _: f"/api/users/{CHAMPION}/solves", 5, 30),
    }


def _somebody(users: int, number: int) -> str:
    return f"user-{Random(number).randrange(users)}"
