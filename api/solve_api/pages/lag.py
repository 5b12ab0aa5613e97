"""The lag page: what each stage still lacks of the log, per partition and over the last minutes."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response

from solve_api.pages.charts import SIZES, Chart, Point, Series, Size, Tick, draw
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores

POLL_MS = 2_000
STAGES = {"postgresql": "PostgreSQL", "kafka_group": "Group commits", "redis": "Redis"}
NUMBERS = dict.fromkeys(("Partition", "End of log", *STAGES.values(), "Oldest wait"), "num")
COLUMNS = {**NUMBERS, "Status": "", "Projector": ""}

router = APIRouter(include_in_schema=False)


@router.api_route("/admin/lag", methods=["GET", "HEAD"])
async def lag(request: Request, caller: InSession, stores: OpenStores) -> Response:
    """The lag of each stage and partition, with its history."""
    report = await stores.lag.report()
    charts = [(name, lag_chart(report["past"], size)) for name, size in SIZES]
    return admin_page(
        request, caller, "lag.html", poll_ms=POLL_MS, lag=report, charts=charts, stages=STAGES, columns=COLUMNS
    )


def lag_chart(past: Sequence[Mapping[str, float]], size: Size) -> Chart | None:
    """Events that each stage lacked over the last minutes; None before the second snapshot."""
    if len(past) < 2:
        return None
    end = past[-1]["at"]
    series = [
        Series(name, stage, [Point(one["at"] - end, one[stage]) for one in past if stage in one])
        for stage, name in STAGES.items()
    ]
    minutes = int((end - past[0]["at"]) // 60)
    if minutes:
        ticks = [Tick(-60.0 * ago, f"−{ago} min" if ago else "now") for ago in range(minutes, -1, -1)]
    else:
        ticks = [Tick(past[0]["at"] - end, f"−{end - past[0]['at']:.0f} s"), Tick(0, "now")]
    return draw(series, ticks, size)
