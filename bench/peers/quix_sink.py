"""Quix Streams: its PostgreSQL sink in upsert mode, with rows alone and no counts, fence or cache."""

import json
import os
from urllib.parse import urlsplit

from quixstreams import Application
from quixstreams.sinks.community.postgresql import PostgreSQLSink

FIELDS = ("submission_id", "user_id", "problem_id", "judged_at", "submitted_at", "language", "contest_id")


def main() -> None:
    """Runs until it is ended."""
    database = urlsplit(os.environ["DATABASE_URL"])
    sink = PostgreSQLSink(
        host=str(database.hostname),
        port=int(database.port or 5432),
        dbname=database.path.lstrip("/"),
        user=str(database.username),
        password=str(database.password),
        table_name="quix_verdicts",
        primary_key_columns=["user_id", "problem_id", "submission_id"],
        upsert_on_primary_key=True,
        include_metadata=False,
    )
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["PEER_GROUP"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_every=int(os.environ["PEER_BATCH"]),
        commit_interval=5,
        loglevel="WARNING",
    )
    stream = app.dataframe(app.topic(os.environ["PEER_TOPIC"], value_deserializer="bytes"))
    verdicts = stream.apply(json.loads).filter(lambda fields: "submission_id" in fields)
    verdicts.apply(lambda fields: {name: fields.get(name) for name in FIELDS}).sink(sink)
    app.run()


if __name__ == "__main__":
    main()
