"""Measures events over HTTP beside a route that does nothing.

One `solve-producer serve` process, and `wrk` that sends events which were never sent before, one or 100 in a request,
as fast as they are answered. Each event is confirmed by the broker before its answer. Before each measure the same
number of connections asks a bare FastAPI route under the same server settings. Read ratios; absolute figures are this
machine's today.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.common import begin_quietly, finish
from bench.processes import Running, run, serving
from bench.rounds import BARE
from bench.wrk import Answered, require_wrk, run_script
from solve_gateway.tokens import add_token
from solve_runtime.console import print_table, progress_bar, run_async, table

CONNECTIONS = {1: 64, 100: 8}  # by the events in a request
UNLIMITED = "1000000"
WARM_UP_S = 1


def main() -> None:
    """Writes `bench-results/gateway.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of one measure")
    parser.add_argument("--json", action="store_true", help="print the result as it is written")
    options = parser.parse_args()
    require_wrk()
    with TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.json"
        token = add_token(tokens, "bench")
        begin_quietly(SOLVE_GATEWAY_TOKENS_FILE=str(tokens), SOLVE_GATEWAY_EVENTS_PER_S=UNLIMITED)
        result = run_async(lambda: measure(token, options.rounds, options.seconds))
    finish(result, "gateway.json", show, as_json=options.json)


async def measure(token: str, rounds: int, seconds: int) -> dict[str, Any]:
    """All figures, by the number of events in a request."""
    await run("solve_projector", "setup")
    result: dict[str, Any] = {}
    async with (
        serving("solve_producer", "serve", "--port", "0", "--json") as gateway,
        serving("bench.bare") as bare,
    ):
        with progress_bar("sending", len(CONNECTIONS) * rounds) as bar:
            for events, connections in CONNECTIONS.items():
                await _send(gateway, token, events, WARM_UP_S)
                pairs = []
                for _ in range(rounds):
                    before = await run_script(bare, "wrk.lua", ["1", BARE], seconds, connections)
                    pairs.append((before, await _send(gateway, token, events, seconds)))
                    bar(1)
                result[str(events)] = _figures(events, pairs)
    return result


async def _send(gateway: Running, token: str, events: int, seconds: int) -> Answered:
    return await run_script(gateway, "wrk_events.lua", [token, str(events)], seconds, CONNECTIONS[events])


def _figures(events: int, pairs: list[tuple[Answered, Answered]]) -> dict[str, float]:
    return {
        "events_per_s": round(median(sent.requests_per_s for _, sent in pairs) * events),
        "p50_ms": round(median(sent.p50_ms for _, sent in pairs), 1),
        "p99_ms": round(median(sent.p99_ms for _, sent in pairs), 1),
        "bare_requests_per_s": round(median(bare.requests_per_s for bare, _ in pairs)),
        "bare_p99_ms": round(median(bare.p99_ms for bare, _ in pairs), 1),
        "ratio_to_bare": round(median(sent.requests_per_s / bare.requests_per_s for bare, sent in pairs), 3),
        "times_bare_cpu": round(median(sent.cpu_ms / bare.cpu_ms for bare, sent in pairs), 2),
    }


def show(result: dict[str, Any]) -> None:
    """For people."""
    names = list(next(iter(result.values())))
    shown = table("events in a request", *names)
    for events, figures in result.items():
        shown.add_row(events, *(str(figures[name]) for name in names))
    print_table(shown)


if __name__ == "__main__":
    main()
