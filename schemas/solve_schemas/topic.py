"""Which topic is the log, and which settings make it a log that can prove every count?"""

TOPIC = "judge-events"
PARTITIONS = 12

# Nothing may be deleted or compacted, and the broker's clock stamps each record: replay depends on both.
TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
}
