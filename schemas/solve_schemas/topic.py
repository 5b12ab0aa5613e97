"""The name of the topic that is the log, and the settings that let it prove every count."""

TOPIC = "judge-events"
PARTITIONS = 12

MESSAGE_MAX_BYTES = 32 * 1024 * 1024  # a batch of records; a projector takes it whole, as it is on the wire

# Nothing may be deleted or compacted, and the broker's clock stamps each record: replay depends on both.
TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": "1048588",  # Kafka's own default; up to MESSAGE_MAX_BYTES is fine
}
