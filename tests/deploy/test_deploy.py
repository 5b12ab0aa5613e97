"""The alerts fire when they should and lead to a runbook; rules and dashboard use metrics that exist.

The rules' own tests are `deploy/prometheus/alerts*_test.yml`, run by promtool (Debian's package `prometheus`).
"""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.promql import expressions_in, metrics_in, metrics_used
from tests.programs import program_of

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = PROMETHEUS / "alerts.yml"
ALERT_TESTS = sorted(PROMETHEUS.glob("alerts*_test.yml"))
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "solve-counts.json"
RUNBOOKS = "https://github.com/solve-counts/solve-counts/blob/main/"
NAMES = re.compile(r"(solve|kafka_(consumergroup|topic)|messaging|process|python)_[a-z_]+")
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
# in place of Grafana's own and ours, so that promtool can read a panel's expression
INTERVAL, VALUE = "5m", "x"

Alert = dict[str, Any]


def promtool(*arguments: str | Path) -> None:
    program = program_of("prometheus", "promtool")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[Alert]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD.read_text())["panels"])


def test_prometheus_accepts_the_configuration_and_the_rules() -> None:
    promtool("check", "rules", ALERTS)
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_each_alert_does_what_its_own_tests_say() -> None:
    promtool("test", "rules", *ALERT_TESTS)


def test_each_alert_is_tested_both_firing_and_quiet() -> None:
    quiet, firing = set(), set()
    for path in ALERT_TESTS:
        for check in (one for case in yaml.safe_load(path.read_text())["tests"] for one in case["alert_rule_test"]):
            (firing if check["exp_alerts"] else quiet).add(check["alertname"])
    assert quiet == firing == {alert["alert"] for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_leads_to_a_runbook(alert: Alert) -> None:
    assert alert["labels"]["severity"] in {"warning", "critical"}
    annotations = alert["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = annotations["runbook_url"].removeprefix(RUNBOOKS).partition("#")
    assert anchor in anchors_of(ROOT / page)


def test_links_within_the_runbooks_lead_somewhere() -> None:
    page = ROOT / "docs" / "operations.md"
    assert set(re.findall(r"\]\(#([\w-]+)\)", page.read_text())) - anchors_of(page) == set()


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("max by (topic, partition) (a_b) > 60", {"a_b"}),
        ('sum(rate(a_total{x="b_c{}", y!~"d"}[$__rate_interval])) / ignoring (z) group_left (w) b', {"a_total", "b"}),
        ("min_over_time(max(a)[5m:15s]) > 1e3 and on () (c offset 15m) unless d == bool 2", {"a", "c", "d"}),
        ('histogram_quantile(0.99, sum by (le) (rate(a_bucket{x="$topic"}[${interval}])))', {"a_bucket"}),
        ("time() - (max(a) > 0) > 36 * 3600 or vector(1) * inf", {"a"}),
    ],
)
def test_metrics_are_distinguished_from_labels_functions_and_words(expression: str, metrics: set[str]) -> None:
    assert metrics_in(expression) == metrics


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD], ids=lambda path: path.name)
def test_every_metric_is_one_that_we_or_our_libraries_could_expose(path: Path) -> None:
    used = metrics_used(path)
    assert used
    assert {name for name in used if not NAMES.fullmatch(name)} == set()


def test_grafanas_files_find_each_other() -> None:
    provisioning = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "solve-counts.yml").read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in compose["volumes"])
    assert provider["options"]["path"] in mounts.values()
    for mounted in mounts:
        assert not mounted.startswith("./") or (ROOT / mounted).is_dir(), mounted
    home = compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home) == Path(provider["options"]["path"]) / DASHBOARD.name


def test_every_panel_says_what_it_shows_in_which_unit_from_the_chosen_data_source() -> None:
    shown = [panel for panel in panels() if panel["type"] != "row"]
    assert len({panel["id"] for panel in panels()}) == len(panels())
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["type"] in {"table", "state-timeline"} or panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_no_panel_covers_another() -> None:
    for one, other in combinations((panel["gridPos"] for panel in panels()), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels()) == 24


def test_the_dashboard_uses_its_own_variables_and_expressions_that_prometheus_can_read(tmp_path: Path) -> None:
    known = {one["name"] for one in json.loads(DASHBOARD.read_text())["templating"]["list"]} | {"__rate_interval"}
    rules = []
    for number, expression in enumerate(expressions_in(DASHBOARD)):
        assert set(VARIABLE.findall(expression)) <= known, expression
        readable = VARIABLE.sub(lambda found: INTERVAL if found[1] == "__rate_interval" else VALUE, expression)
        rules.append({"record": f"panel:{number}", "expr": readable})
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", path)
