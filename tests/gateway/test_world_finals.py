"""World Finals 47 through the gateway, as a judge of another language would send them, twice and in any order."""

import json
import random
from pathlib import Path

from solve_schemas.record import encode_line
from solve_sources.clics import conversion
from tests.gateway.serving import NDJSON, gateway
from tests.sources.commands import counts
from tests.world import World


async def test_the_world_finals_come_out_as_the_scoreboard_says(world: World, wf47: Path, tmp_path: Path) -> None:
    with (wf47 / "event-feed.ndjson").open("rb") as feed:
        lines = [encode_line(event).encode() for event in conversion.convert(feed, "wf47").events] * 2
    random.Random(47).shuffle(lines)
    async with gateway(world.connection, tmp_path) as served, served.judge() as judge:
        for at in range(0, len(lines), 300):
            answer = await judge.post("/v1/events", content=b"\n".join(lines[at : at + 300]), headers=NDJSON)
            assert answer.status_code == 200, answer.text
    found = await counts(world)
    rows = json.loads((wf47 / "scoreboard.json").read_text())["rows"]
    board = {
        f"wf47_finals:{row['team_id']}": sum(1 for one in row["problems"] if one["solved"] and one["time"] < 240)
        for row in rows
    }
    assert found == {user: solved for user, solved in board.items() if solved}
    assert sum(found.values()) == 519
