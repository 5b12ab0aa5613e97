"""Measures the pages beside a route that does nothing, and the time until an open page sees a solve.

The workload: 100,000 users with about a million verdicts of a year, made by SQL (`bench/crowd.sql`), and their board in
Redis. One `solve-api serve` process, asked by `wrk` from 16 connections for profiles of random users, the first page of
the board, the board around random users and the week's, and for two of them as HTML. Before each measure the same of a
bare FastAPI route under the same server settings. The rate limit is raised: everything comes from one address. Then a
projector, 1,000 solves a second and 100 open streams, each of one user and the board. Read ratios; absolute figures are
this machine's today.
"""

import argparse
from typing import Any

from bench.common import begin_quietly, finish, say
from bench.crowd import make_crowd
from bench.processes import serving
from bench.rounds import PAGES, Plan, measure_pages
from bench.visible import measure_visible
from bench.wrk import CONNECTIONS, require_wrk
from solve_runtime.console import print_lines, print_table, run_async, table
from solve_runtime.kafka_settings import KafkaConnection

UNLIMITED = "1000000000/second"


def main() -> None:
    """Writes `bench-results/pages.json`."""
    options = _options()
    require_wrk()
    begin_quietly(SOLVE_API_READ_RATE=UNLIMITED)
    result = run_async(lambda: measure(options))
    finish(result, "pages.json", show, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--pages", nargs="*", choices=PAGES, default=list(PAGES), help="which to ask for")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of one measure of one page")
    parser.add_argument("--rate", type=int, default=1_000, help="solves a second while streams listen; 0: without")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--live-seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true", help="print the result as it is written")
    return parser.parse_args()


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, by name."""
    connection = KafkaConnection()
    say(f"making {options.users} users")
    result: dict[str, Any] = {"workload": await make_crowd(connection, options.users) | {"connections": CONNECTIONS}}
    async with serving("solve_api", "serve", "--host", "127.0.0.1", "--port", "0", "--json") as api:
        if options.pages:
            say("asking for pages")
            plan = Plan(options.pages, options.users, options.rounds, options.seconds)
            result["pages"] = await measure_pages(api, plan)
        if options.rate:
            say("publishing to open streams")
            result["visible"] = await measure_visible(
                api.url, connection, options.users, options.streams, options.rate, options.live_seconds
            )
    return result


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    crowd = result["workload"]
    print_lines(f"{crowd['users']} users, {crowd['ranked']} of them on the board, {crowd['verdicts']} verdicts")
    shown = table("page", "of bare", "requests/s", "p50 ms", "p99 ms", "CPU ms", "times bare")
    for name, found in result.get("pages", {}).items():
        shown.add_row(
            name,
            f"{found['ratio_to_bare']:.2f}" if "ratio_to_bare" in found else "",
            *(str(found[figure]) for figure in ("requests_per_s", "p50_ms", "p99_ms", "cpu_ms")),
            str(found.get("times_bare_cpu", "")),
        )
    if shown.rows:
        print_table(shown)
    if live := result.get("visible"):
        print_lines(
            f"a solve seen by an open page, beside {live['events_per_s']} events/s and {live['streams']} streams: "
            f"p50 {live['p50_ms']} ms, p99 {live['p99_ms']} ms, most {live['max_ms']} ms"
        )


if __name__ == "__main__":
    main()
