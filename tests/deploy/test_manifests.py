"""Compose, Kubernetes and systemd take what is in deploy/, and it fits the programs.

Kubernetes' own kinds are checked against its published schemas (strictly: no unknown field); the ScaledObject, whose
schema is KEDA's, by what matters in it.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from solve_gateway.settings import GatewaySettings
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.topic import PARTITIONS, TOPIC
from solve_sources.outbox.relay import FINISH_S
from solve_sources.outbox.settings import OutboxSettings
from tests.programs import program_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
GATEWAY = KUBERNETES / "gateway"
RELAY = KUBERNETES / "relay"  # a component of Kubernetes' own kinds
SYSTEMD = DEPLOY / "systemd"
COMPOSE = ROOT / "docker-compose.yml"
# The oldest in which all that is used here is stable, and a newer one.
KUBERNETES_VERSIONS = ("1.31", "1.34")
PROGRAMS = re.compile(r"/opt/solve-counts/bin/solve-(?:projector|api|producer)")

Manifest = dict[str, Any]


def manifests(folder: Path = KUBERNETES) -> list[Manifest]:
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def named(kind: str, name: str, folder: Path = KUBERNETES) -> Manifest:
    (found,) = (one for one in manifests(folder) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pod_specs() -> list[Manifest]:
    """Of everything that starts pods."""
    return [pod["spec"] for pod in pods([*manifests(), *manifests(GATEWAY), *manifests(RELAY)])]


def pods(found: list[Manifest]) -> list[Manifest]:
    """The templates of pods in these."""
    specs = [one.get("spec", {}).get("jobTemplate", one).get("spec", {}) for one in found]
    return [spec["template"] for spec in specs if "template" in spec]


def _environment(deployment: str, folder: Path = KUBERNETES) -> dict[str, str]:
    (container,) = named("Deployment", deployment, folder)["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def test_every_service_of_compose_is_pinned_and_open_to_this_machine_alone() -> None:
    for name, service in services().items():
        assert re.search(r":v?\d[\w.-]*$", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_monitoring_starts_only_when_asked_for_and_is_locked_down() -> None:
    monitoring = {name: one for name, one in services().items() if one.get("profiles") == ["monitoring"]}
    assert monitoring.keys() == {"lag", "prometheus", "grafana"}
    for name, service in monitoring.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["healthcheck"], name


def test_prometheus_scrapes_the_ports_that_compose_makes_the_programs_listen_on() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    jobs = {job["job_name"]: job for job in scraped}
    (discovery,) = jobs["solve-projector"]["dns_sd_configs"]
    projector, lag = services()["projector"], services()["lag"]
    assert discovery["names"] == ["projector"]
    assert discovery["port"] == projector["environment"]["SOLVE_METRICS_PORT"]
    (relay,) = jobs["solve-relay"]["dns_sd_configs"]
    assert str(relay["port"]) == _environment("solve-relay", RELAY)["SOLVE_OUTBOX_METRICS_PORT"]
    (target,) = jobs["solve-lag"]["static_configs"][0]["targets"]
    assert target == f"lag:{lag['command'][lag['command'].index('--port') + 1]}"


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize(
    "manifest",
    [*manifests(), *manifests(GATEWAY), *manifests(RELAY)],
    ids=lambda one: f"{one['kind']}-{one['metadata']['name']}",
)
def test_a_manifest_is_one_by_kubernetes_own_schema(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_every_manifest_is_in_its_kustomization() -> None:
    for kustomization in KUBERNETES.rglob("kustomization.yaml"):
        listed = yaml.safe_load(kustomization.read_text())["resources"]
        there = {path.name for path in kustomization.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(listed) == there, kustomization


def test_pods_are_restricted_and_get_their_secrets_as_files() -> None:
    assert len(pod_specs()) == 7
    for spec in pod_specs():
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        # a token would be mounted below /run/secrets
        assert spec["automountServiceAccountToken"] is False
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True} in container["volumeMounts"]


def test_a_projector_is_asked_where_it_answers_and_has_the_time_it_needs_to_leave() -> None:
    spec = named("Deployment", "solve-projector")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment == {"SOLVE_METRICS_HOST": "0.0.0.0", "SOLVE_METRICS_PORT": ports["metrics"]}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"metrics"}
    assert spec["terminationGracePeriodSeconds"] >= 30


def test_a_relay_is_asked_where_it_answers_and_has_the_time_that_a_batch_takes() -> None:
    spec = named("Deployment", "solve-relay", RELAY)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (port,) = container["ports"]
    assert _environment("solve-relay", RELAY) == {
        "SOLVE_OUTBOX_METRICS_HOST": "0.0.0.0",
        "SOLVE_OUTBOX_METRICS_PORT": str(port["containerPort"]),
    }
    assert set(_environment("solve-relay", RELAY)) < set(OutboxSettings.variables().values())
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert spec["terminationGracePeriodSeconds"] >= 2 * FINISH_S
    (secret,) = (one["secret"]["secretName"] for one in spec["volumes"] if "secret" in one)
    assert secret == "solve-relay"  # with the judge's database, and not with ours


def test_the_pages_are_asked_where_they_answer() -> None:
    spec = named("Deployment", "solve-api")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (port,) = container["ports"]
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "SOLVE_API_HOST": "0.0.0.0",
        "SOLVE_API_PORT": str(port["containerPort"]),
        "SOLVE_API_TRUSTED_PROXIES": "10.244.0.0/16",
    }
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    (served,) = named("Service", "solve-api")["spec"]["ports"]
    assert served["targetPort"] == port["name"]


def test_the_gateway_is_asked_where_it_answers_and_knows_its_tokens() -> None:
    spec = named("Deployment", "solve-gateway", GATEWAY)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment.keys() <= set(GatewaySettings.variables().values())
    assert environment["SOLVE_GATEWAY_PORT"] == ports["http"]
    assert environment["SOLVE_GATEWAY_METRICS_PORT"] == ports["metrics"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert Path(environment["SOLVE_GATEWAY_TOKENS_FILE"]).parent == Path(mounts["tokens"])
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {(name, one["path"], one["port"]) for name, one in probes.items()} == {
        ("startup", "/livez", "http"),
        ("liveness", "/livez", "http"),
        ("readiness", "/readyz", "http"),
    }
    (policy,) = (one["spec"] for one in manifests(GATEWAY) if one["kind"] == "NetworkPolicy")
    let_in = {
        (rule["ports"][0]["port"], rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
        for rule in policy["ingress"]
    }
    assert let_in == {("http", "ingress-nginx"), ("metrics", "monitoring")}


def test_who_takes_requests_of_judges_has_no_password_of_a_database() -> None:
    spec = named("Deployment", "solve-gateway", GATEWAY)["spec"]["template"]["spec"]
    secrets = {one["secret"]["secretName"] for one in spec["volumes"] if "secret" in one}
    assert secrets == {"solve-gateway", "solve-gateway-tokens"}


def test_nobody_reaches_a_port_but_the_ingress_and_prometheus_and_pods_reach_their_servers_alone() -> None:
    ours = manifests() + manifests(RELAY)
    policies = {one["metadata"]["name"]: one["spec"] for one in ours if one["kind"] == "NetworkPolicy"}
    everything = policies.pop("nothing-by-default")
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    log, stores = policies.pop("log"), policies.pop("stores")
    assert log["podSelector"] == {}
    ports = {port["port"] for rule in log["egress"] for port in rule["ports"]}
    assert ports == {53, int(named("ConfigMap", "solve-counts")["data"]["KAFKA_BOOTSTRAP_SERVERS"][-4:])}
    assert {port["port"] for rule in stores["egress"] for port in rule["ports"]} == {5432, 6379}
    (term,) = stores["podSelector"]["matchExpressions"]
    assert (term["operator"], set(term["values"])) == (
        "In",
        {pod["metadata"]["labels"][term["key"]] for pod in pods(manifests())},
    )
    assert {port["port"] for rule in policies["relay"].pop("egress") for port in rule["ports"]} == {3306, 5432}
    let_in = {}
    for policy in policies.values():
        ((rule,), selector) = policy["ingress"], policy["podSelector"]
        ((one,), (port,)) = rule["from"], rule["ports"]
        names = [selector["matchLabels"]["app.kubernetes.io/name"]] if "matchLabels" in selector else []
        names += [name for term in selector.get("matchExpressions", []) for name in term["values"]]
        namespace = one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        let_in |= {(name, port["port"]): namespace for name in names}
    listening = {
        (one["metadata"]["name"], port["name"])
        for one in ours
        if one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
        for port in container["ports"]
    }
    assert let_in.keys() == listening
    assert let_in[("solve-api", "http")] == "ingress-nginx"
    assert {namespace for (name, _), namespace in let_in.items() if name != "solve-api"} == {"monitoring"}


def test_the_settings_in_the_config_map_are_settings() -> None:
    known = set(ProjectorSettings.variables().values())
    known |= set(KafkaConnection.variables().values())
    data = named("ConfigMap", "solve-counts")["data"]
    assert data.keys() - known == set()
    assert data["SOLVE_TOPIC"] == TOPIC
    assert data["SOLVE_GROUP_ID"] == ProjectorSettings.model_fields["group_id"].default


def test_scaling_goes_up_to_one_projector_a_partition_and_never_to_none() -> None:
    scaled = named("ScaledObject", "solve-projector", KUBERNETES / "keda")["spec"]
    assert scaled["scaleTargetRef"] == {"name": named("Deployment", "solve-projector")["metadata"]["name"]}
    assert 1 <= scaled["minReplicaCount"] < scaled["maxReplicaCount"] == PARTITIONS
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "kafka"
    metadata = trigger["metadata"]
    assert all(isinstance(value, str) for value in metadata.values()), "KEDA takes text alone"
    from_pods = {value for name, value in metadata.items() if name.endswith("FromEnv")}
    assert from_pods == {"KAFKA_BOOTSTRAP_SERVERS", "SOLVE_GROUP_ID", "SOLVE_TOPIC"}
    assert from_pods <= named("ConfigMap", "solve-counts")["data"].keys()
    setup = named("Job", "solve-setup")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert setup[setup.index("--partitions") + 1] == str(PARTITIONS)


def test_monitors_give_the_job_names_that_the_rules_know() -> None:
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    pods = [named("Deployment", "solve-projector"), named("Service", "solve-lag")]
    pods.append(named("Deployment", "solve-relay", RELAY))
    for monitor, target in zip(manifests(KUBERNETES / "prometheus-operator"), pods, strict=True):
        job = target["metadata"]["labels"][monitor["spec"]["jobLabel"]]
        assert f'job="{job}"' in rules
        assert monitor["spec"]["selector"]["matchLabels"].items() <= target["metadata"]["labels"].items()


@pytest.mark.parametrize("verb", ["verify", "security"])
def test_systemd_accepts_the_units_and_finds_them_hardened(tmp_path: Path, verb: str) -> None:
    program = program_of("systemd", "systemd-analyze")
    for unit in SYSTEMD.iterdir():  # as an instance, with a program that is on this machine
        name = unit.name.replace("@.", "@9464.")
        (tmp_path / name).write_text(PROGRAMS.sub(sys.executable, unit.read_text()))
    units = sorted(str(path) for path in tmp_path.iterdir() if verb == "verify" or path.suffix == ".service")
    options = ["--man=no"] if verb == "verify" else ["--offline=yes", "--threshold=20", "--no-pager"]
    done = subprocess.run([program, verb, *options, *units], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # a key that it does not know is only said; what it says of this machine's own units is not ours
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line] == []


def test_every_command_that_is_deployed_or_named_by_a_runbook_exists() -> None:
    texts = [path.read_text() for path in [*SYSTEMD.iterdir(), ROOT / "docs" / "operations.md", DEPLOY / "README.md"]]
    commands = {name for text in texts for name in re.findall(r"solve-projector ([a-z][a-z-]+)\b", text)}
    started = [spec["containers"][0]["args"] for spec in pod_specs()]
    started += [one["command"] for one in services().values() if "command" in one]
    commands |= {words[1] for words in started if words[0] == "solve-projector"}
    assert {tuple(words) for words in started if words[0] == "solve-api"} == {("solve-api", "serve")}
    listed = subprocess.run(
        [sys.executable, "-m", "solve_projector", "--help"], capture_output=True, text=True, check=True
    )
    missing = {name for name in commands if not re.search(rf"^\s+{name}\s", listed.stdout, re.MULTILINE)}
    assert missing == set()
