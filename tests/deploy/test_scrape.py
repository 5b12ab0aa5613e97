"""Every metric that an alert or a panel uses exists, compared with scrapes of both processes."""

from pathlib import Path

import pytest

from devstack.ports import free_port
from solve_producer.demo.simulation import Season, simulate
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_sources.outbox.ddl import ddl
from tests.deploy.promql import metrics_used
from tests.events import BEGIN
from tests.projector.lag.test_exporter import exporting, scraped, until_scraped
from tests.sources.outbox.judges import PostgreSqlJudge
from tests.sources.outbox.relaying import relay_process
from tests.waiting import until
from tests.world import World

DEPLOY = Path(__file__).parents[2] / "deploy"
ASKING = [DEPLOY / "prometheus" / "alerts.yml", DEPLOY / "grafana" / "dashboards" / "solve-counts.json"]
SEASON = Season(start=BEGIN, users=50, problems=30, events=600, unknown_users=0.05, seed=4)


async def _exposes(port: int, metric: str) -> bool:
    try:
        found = await scraped(port)
    except OSError:
        return False
    return any(name == metric and number for (name, _), number in found.items())


async def test_every_metric_of_a_rule_or_a_panel_is_in_a_real_scrape(world: World) -> None:
    async with world.raw_producer() as producer:
        await producer.send_and_wait(world.connection.topic, b"{", key=b"k")
    await world.publish(simulate(SEASON))
    port, relay_port = free_port(), free_port()
    judge = PostgreSqlJudge(world.settings.database_url.get_secret_value())
    await judge.apply(ddl(judge.dialect))
    async with (
        world.process("run", SOLVE_METRICS_PORT=str(port)),
        exporting(world) as lag_port,
        relay_process(world, judge, SOLVE_OUTBOX_METRICS_PORT=str(relay_port)),
    ):
        await until(lambda: _exposes(port, "solve_projector_events_total"), "the projector's metrics")
        await until(lambda: _exposes(relay_port, "solve_outbox_source_up"), "the relay's metrics")
        await until_scraped(lag_port, "kafka_consumergroup_lag_sum", 0)
        await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)
        exporter = await until_scraped(lag_port, "solve_audit_drift", 0)
        relay = await scraped(relay_port)
        exposed = {name for name, _ in (await scraped(port)).keys() | exporter.keys() | relay.keys()}
    for path in ASKING:
        asked = metrics_used(path)
        assert asked
        assert asked <= exposed, f"{path.name} asks for what nobody exposes: {sorted(asked - exposed)}"


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.name)
def test_rules_and_panels_ask_for_the_stages_and_statuses_that_there_are(path: Path) -> None:
    from solve_projector.lag.snapshot import Stage
    from solve_projector.lag.status import Status

    text = path.read_text()
    assert all(stage.value in text for stage in (Stage.POSTGRESQL, Stage.REDIS))
    assert all(status.name in text for status in Status if status not in {Status.OK, Status.WARN})
