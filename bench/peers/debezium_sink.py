"""Debezium's JDBC sink in Kafka Connect standalone, in upsert mode: rows alone, without counts, fence or cache.

Our events are JSON without a schema, which this sink asks for, so Connect's converter gets one from outside (KIP-1054).
Registrations lack a field that it requires: they are skipped, as errors that are tolerated.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from devstack.connect import worker_command

KEY = ("user_id", "problem_id", "submission_id")
FIELDS = (*KEY, "judged_at", "submitted_at", "language", "contest_id")
SCHEMA = {
    "type": "struct",
    "fields": [{"field": name, "type": "string", "optional": name not in KEY} for name in FIELDS],
}
WORKER = {
    "offset.flush.interval.ms": "5000",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "true",
    "value.converter.schema.content": json.dumps(SCHEMA),
    "connector.client.config.override.policy": "All",
}


def main() -> None:
    """Becomes the worker, which runs until it is ended."""
    folder, servers = Path(os.environ["PEER_FOLDER"]), os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    words = worker_command(folder, "debezium-connector-jdbc", servers, WORKER, _sink())
    os.execv(words[0], words)


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


if __name__ == "__main__":
    main()
