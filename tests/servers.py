"""The tests' servers: given addresses first, then Docker, then the local stack."""

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

VARIABLES = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL")
KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
VALKEY_IMAGE = "valkey/valkey:9"


@contextmanager
def servers_of_this_run() -> Iterator[Mapping[str, str]]:
    """The environment of three servers; SOLVE_TEST_STACK=given|docker|local asks for one kind."""
    kind = os.environ.get("SOLVE_TEST_STACK") or _kind()
    if kind == "given":
        yield {name: os.environ[name] for name in VARIABLES}
    elif kind == "docker":
        with _docker() as found:
            yield found
    else:
        from devstack import Stack

        with tempfile.TemporaryDirectory(prefix="solve-tests-") as folder, Stack(Path(folder)) as stack:
            yield stack.environment()


def _kind() -> str:
    if all(os.environ.get(name) for name in VARIABLES):
        return "given"
    return "docker" if _engine_answers() else "local"


def _engine_answers() -> bool:
    import docker

    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        return False
    with closing(docker.DockerClient(base_url=address, version="1.41", timeout=5)) as client:
        try:
            return bool(client.ping())
        except (docker.errors.DockerException, OSError):
            return False


@contextmanager
def _docker() -> Iterator[Mapping[str, str]]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        kafka_port = probe.getsockname()[1]
    # any KAFKA_ variable replaces all of the image's defaults
    settings = {
        "NODE_ID": "1",
        "PROCESS_ROLES": "broker,controller",
        "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "LISTENERS": "PLAINTEXT://:9092,INSIDE://:19092,CONTROLLER://:9093",
        # the broker calls itself for transactions, and the host's port is not there inside
        "ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{kafka_port},INSIDE://localhost:19092",
        "INTER_BROKER_LISTENER_NAME": "INSIDE",
        "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "GROUP_MIN_SESSION_TIMEOUT_MS": "500",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
        "MESSAGE_MAX_BYTES": "4194304",
        "LOG_RETENTION_CHECK_INTERVAL_MS": "1000",
    }
    kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, kafka_port)
    for name, value in settings.items():
        kafka = kafka.with_env(f"KAFKA_{name}", value)
    kafka = kafka.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    postgres = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_PASSWORD", "tests")
        .with_env("POSTGRES_DB", "solves")
        .with_exposed_ports(5432)
        .waiting_for(LogMessageWaitStrategy("database system is ready to accept connections", times=2))
    )
    valkey = (
        DockerContainer(VALKEY_IMAGE)
        .with_exposed_ports(6379)
        .waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
    )
    with kafka, postgres, valkey:
        database = f"{postgres.get_container_host_ip()}:{postgres.get_exposed_port(5432)}"
        cache = f"{valkey.get_container_host_ip()}:{valkey.get_exposed_port(6379)}"
        yield {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka_port}",
            "DATABASE_URL": f"postgresql://postgres:tests@{database}/solves",
            "REDIS_URL": f"redis://{cache}/0",
        }
