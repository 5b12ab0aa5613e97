"""Measures pages in rounds of bare, page, bare, page …, and reports the medians."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.processes import Running, serving
from bench.wrk import Answered, drive
from solve_runtime.console import Advance, progress_bar

PAGES = {
    "profile": "/api/users/user-%d",
    "board": "/api/leaderboard?limit=50",
    "around": "/api/leaderboard?limit=50&around=user-%d",
    "week": "/api/leaderboard?limit=50&period=week",
    "profile-html": "/users/user-%d",
    "board-html": "/leaderboard",
}
BARE = "/bare"
WARM_UP_S = 1

Pair = tuple[Answered, Answered]  # bare, and the page right after it


@dataclass(frozen=True)
class Plan:
    """What is asked, of how many users, and how often."""

    pages: Sequence[str]
    users: int
    rounds: int
    seconds: int


async def measure_pages(api: Running, plan: Plan) -> dict[str, dict[str, float]]:
    """The figures of each page by name, and of the bare route."""
    warm_up = replace(plan, rounds=1, seconds=WARM_UP_S)
    async with serving("bench.bare") as bare:
        with progress_bar("asking", len(plan.pages) * (plan.rounds + 1)) as bar:
            await _pairs(bare, api, warm_up, bar)
            pairs = await _pairs(bare, api, plan, bar)
    figures = {"bare": _figures([bare for found in pairs.values() for bare, _ in found])}
    for name, found in pairs.items():
        figures[name] = _figures([page for _, page in found]) | {
            "ratio_to_bare": round(median(page.requests_per_s / bare.requests_per_s for bare, page in found), 3),
            "times_bare_cpu": round(median(page.cpu_ms / bare.cpu_ms for bare, page in found), 2),
        }
    return figures


async def _pairs(bare: Running, api: Running, plan: Plan, bar: Advance) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {name: [] for name in plan.pages}
    for _ in range(plan.rounds):
        for name in plan.pages:
            before = await drive(bare, BARE, plan.users, plan.seconds)
            found[name].append((before, await drive(api, PAGES[name], plan.users, plan.seconds)))
            bar(1)
    return found


def _figures(answered: Sequence[Answered]) -> dict[str, float]:
    return {
        "requests_per_s": round(median(one.requests_per_s for one in answered)),
        "p50_ms": round(median(one.p50_ms for one in answered), 2),
        "p99_ms": round(median(one.p99_ms for one in answered), 2),
        "cpu_ms": round(median(one.cpu_ms for one in answered), 3),
    }
