"""The name of the topic that is the log, and the settings that let it prove every count."""

TOPIC = "judge-events"
PARTITIONS = 12

# Nothing may be deleted or compacted, and the broker's clock stamps each record: replay depends on both.
TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
}
